// What a measurement is and how it is shown: percentiles, the figure it is held against, a table for people, one line of JSON.

export interface Row {
  name: string;
  unit: 'ms' | 'MB' | 'ms/turn';
  n: number;
  p50: number;
  p95: number;
  p99: number;
  /** Upper bounds of the design; null where it names none. */
  figure: { p50?: number; p95?: number; p99?: number; max?: number } | null;
  ok: boolean | null;
  /** How many times the machine's own cost of the same work, measured beside it. */
  ratio: { value: number; of: string } | null;
  note: string | null;
}

/** Nearest rank: the smallest sample that at least `share` of the samples do not exceed. */
export function percentile(samples: readonly number[], share: number): number {
  if (samples.length === 0) throw new Error('nothing was measured');
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]!;
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5);

export function row(
  name: string,
  samples: readonly number[],
  more: Partial<Pick<Row, 'unit' | 'figure' | 'note'>> & { ratio?: { of: string; base: number } } = {},
): Row {
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => percentile(samples, share)) as [number, number, number];
  const figure = more.figure ?? null;
  const within = (value: number, bound: number | undefined) => bound === undefined || value <= bound;
  return {
    name,
    unit: more.unit ?? 'ms',
    n: samples.length,
    p50,
    p95,
    p99,
    figure,
    ok:
      figure &&
      within(p50, figure.p50) &&
      within(p95, figure.p95) &&
      within(p99, figure.p99) &&
      within(Math.max(...samples), figure.max),
    ratio: more.ratio ? { of: more.ratio.of, value: p50 / more.ratio.base } : null,
    note: more.note ?? null,
  };
}

const shown = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);

const figureText = ({ figure, unit }: Row): string =>
  figure
    ? [
        figure.p50 !== undefined && `p50 ≤ ${figure.p50}`,
        figure.p95 !== undefined && `p95 ≤ ${figure.p95}`,
        figure.p99 !== undefined && `p99 ≤ ${figure.p99}`,
        figure.max !== undefined && `≤ ${figure.max} ${unit}`,
      ]
        .filter(Boolean)
        .join(', ')
    : '';

export function table(rows: readonly Row[]): string {
  const head = ['', 'n', 'p50', 'p95', 'p99', 'unit', 'figure', '', 'ratio'];
  const notes: string[] = [];
  const lines = rows.map((entry) => {
    if (entry.note) notes.push(entry.note);
    return [
      entry.name + (entry.note ? ` [${notes.length}]` : ''),
      String(entry.n),
      shown(entry.p50),
      shown(entry.p95),
      shown(entry.p99),
      entry.unit,
      figureText(entry),
      entry.ok === null ? '' : entry.ok ? 'ok' : 'MISS',
      entry.ratio ? `${shown(entry.ratio.value)} × ${entry.ratio.of}` : '',
    ];
  });
  const all = [head, ...lines];
  const widths = head.map((_, column) => Math.max(...all.map((line) => line[column]!.length)));
  const numeric = (column: number) => column >= 1 && column <= 4;
  const text = all.map((line) =>
    line
      .map((cell, column) => (numeric(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
  return [...text, ...notes.map((note, index) => `[${index + 1}] ${note}`)].join('\n');
}
