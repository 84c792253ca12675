// What was used and what it cost, by day and model. A price nobody knows is said, never shown as zero.
import { useState } from 'preact/hooks';
import { compact, count, shortDay, usd } from '../format.ts';
import type { Store } from '../store.ts';
import type { Usage, UsageRow } from '../types.ts';
import { Card, Failed } from '../ui/page.tsx';
import { useLoaded } from '../ui/use-loaded.ts';

const DAYS = [7, 30, 90];

interface Day {
  day: string;
  value: number;
}

/** One bar a day over the whole span, empty days included; cost where a price is known, else tokens. */
function series(usage: Usage, days: number): { days: Day[]; priced: boolean } {
  const priced = usage.total_usd > 0;
  const byDay = new Map<string, number>();
  for (const row of usage.data) {
    const value = priced ? (row.cost_usd ?? 0) : row.input_tokens + row.output_tokens;
    byDay.set(row.day, (byDay.get(row.day) ?? 0) + value);
  }
  const last = [...byDay.keys()].sort().at(-1) ?? new Date().toISOString().slice(0, 10);
  const end = Math.max(Date.parse(last), Date.now() - 86_400_000);
  const list = Array.from({ length: days }, (_, index) => {
    const day = new Date(end - (days - 1 - index) * 86_400_000).toISOString().slice(0, 10);
    return { day, value: byDay.get(day) ?? 0 };
  });
  return { days: list, priced };
}

function Chart({ usage, days }: { usage: Usage; days: number }) {
  const { days: list, priced } = series(usage, days);
  const most = Math.max(...list.map((day) => day.value), Number.MIN_VALUE);
  const show = (value: number) => (priced ? usd(value) : `${compact(value)} tokens`);
  return (
    <figure class="chart">
      <svg
        viewBox={`0 0 ${days * 10} 80`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${priced ? 'Cost' : 'Tokens'} per day`}
      >
        {list.map((day, index) => {
          const height = day.value === 0 ? 1 : Math.max(2, (day.value / most) * 76);
          return (
            <rect
              key={day.day}
              class={day.value === 0 ? 'none' : ''}
              x={index * 10 + 1.5}
              y={80 - height}
              width="7"
              height={height}
            >
              <title>{`${shortDay(day.day)}: ${show(day.value)}`}</title>
            </rect>
          );
        })}
      </svg>
      <figcaption>
        <span>{shortDay(list[0]?.day ?? '')}</span>
        <span>most in a day: {show(Math.max(...list.map((day) => day.value)))}</span>
        <span>{shortDay(list.at(-1)?.day ?? '')}</span>
      </figcaption>
    </figure>
  );
}

function Row({ row, sameDay }: { row: UsageRow; sameDay: boolean }) {
  const cached = row.cache_read_input_tokens;
  return (
    <tr>
      <th scope="row">{sameDay ? <span class="offscreen">{shortDay(row.day)}</span> : shortDay(row.day)}</th>
      <td class="model">{row.model}</td>
      <td class="num not-phone">{count(row.requests)}</td>
      <td
        class="num not-phone"
        title={`${count(row.input_tokens)} new, ${count(row.cache_creation_input_tokens)} written to the cache`}
      >
        {compact(row.input_tokens + row.cache_creation_input_tokens)}
      </td>
      <td class="num not-phone">{cached > 0 ? compact(cached) : '–'}</td>
      <td class="num">{compact(row.output_tokens)}</td>
      <td class="num">{row.cost_usd === null ? <span class="muted">price unknown</span> : usd(row.cost_usd)}</td>
    </tr>
  );
}

function Table({ usage }: { usage: Usage }) {
  const rows = [...usage.data].sort((a, b) => b.day.localeCompare(a.day) || a.model.localeCompare(b.model));
  const sum = (of: (row: UsageRow) => number) => rows.reduce((total, row) => total + of(row), 0);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <div class="table" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Day</th>
            <th scope="col">Model</th>
            <th scope="col" class="num not-phone">
              Requests
            </th>
            <th scope="col" class="num not-phone">
              In
            </th>
            <th scope="col" class="num not-phone">
              Cached
            </th>
            <th scope="col" class="num">
              Out
            </th>
            <th scope="col" class="num">
              Cost
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <Row key={`${row.day}:${row.model}`} row={row} sameDay={rows[index - 1]?.day === row.day} />
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row" colSpan={2}>
              Total
            </th>
            <td class="num not-phone">{count(sum((row) => row.requests))}</td>
            <td class="num not-phone">{compact(sum((row) => row.input_tokens + row.cache_creation_input_tokens))}</td>
            <td class="num not-phone">{compact(sum((row) => row.cache_read_input_tokens))}</td>
            <td class="num">{compact(sum((row) => row.output_tokens))}</td>
            <td class="num">{usd(usage.total_usd)}</td>
          </tr>
        </tfoot>
      </table>
    </div>
  );
}

export function UsageTable({ store }: { store: Store }) {
  const [days, setDays] = useState(30);
  const usage = useLoaded(() => store.api.usage(days), store, days);
  const unpriced = usage.data?.unpriced_models ?? [];
  return (
    <Card title="Usage" hint="Tokens and cost as counted by Steward from each answer of the model.">
      <fieldset class="filter inline">
        <legend class="offscreen">Span</legend>
        {DAYS.map((choice) => (
          <label key={choice}>
            <input type="radio" name="days" checked={days === choice} onChange={() => setDays(choice)} />
            <span>{choice} days</span>
          </label>
        ))}
      </fieldset>
      {usage.error && <Failed message={usage.error.message} hint={usage.error.hint} onRetry={usage.reload} />}
      {usage.data?.data.length === 0 && <p class="muted">No model was asked in this time.</p>}
      {usage.data && usage.data.data.length > 0 && (
        <>
          <Chart usage={usage.data} days={days} />
          <Table usage={usage.data} />
        </>
      )}
      {unpriced.length > 0 && (
        <p class="muted">
          The price of {unpriced.join(', ')} is unknown: these requests are counted, but the total does not include
          their cost.
        </p>
      )}
    </Card>
  );
}
