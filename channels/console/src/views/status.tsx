// How Steward is doing: model, channels with ages, outbox, budget, sessions, disk, notices.
import type { ComponentChildren } from 'preact';
import { agoSentence, duration, plural, usd } from '../format.ts';
import type { Store } from '../store.ts';
import type { Status as StatusData } from '../types.ts';
import { Badge, type Tone } from '../ui/badge.tsx';
import { Icon } from '../ui/icon.tsx';
import { Bar, Card } from '../ui/page.tsx';
import { channelName } from './message.tsx';

function Line({
  name,
  tone,
  word,
  children,
}: {
  name: string;
  tone: Tone;
  word: string;
  children?: ComponentChildren;
}) {
  return (
    <li class="status-line">
      <strong>{name}</strong>
      <Badge tone={tone}>{word}</Badge>
      <span>{children}</span>
    </li>
  );
}

const STATE_TONE: Record<string, Tone> = {
  ok: 'good',
  unreachable: 'bad',
  unknown: 'quiet',
  off: 'quiet',
  starting: 'warn',
  failing: 'bad',
};
const STATE_WORD: Record<string, string> = { unknown: 'not asked yet', unreachable: 'unreachable' };

function Model({ status, now }: { status: StatusData; now: number }) {
  const { model } = status;
  return (
    <Card
      title="Model"
      hint={model.provider === 'offline' ? 'No model is configured: the offline responder answers.' : undefined}
    >
      <ul class="rows">
        <Line
          name={model.configured.join(' → ') || model.provider}
          tone={STATE_TONE[model.state] ?? 'quiet'}
          word={STATE_WORD[model.state] ?? model.state}
        >
          {model.detail}
          {model.last_success_at && <small class="muted">last answer {agoSentence(model.last_success_at, now)}</small>}
        </Line>
      </ul>
    </Card>
  );
}

function Channels({ status, now }: { status: StatusData; now: number }) {
  return (
    <Card title="Channels">
      <ul class="rows">
        {status.channels.map((channel) => (
          <Line
            key={channel.name}
            name={channelName(channel.name)}
            tone={STATE_TONE[channel.state] ?? 'quiet'}
            word={channel.state}
          >
            {channel.detail}
            {channel.last_success_at && (
              <small class="muted">last success {agoSentence(channel.last_success_at, now)}</small>
            )}
          </Line>
        ))}
      </ul>
    </Card>
  );
}

const LIMITS: Record<string, string> = { memory: 'Memory', cpu: 'CPU', pids: 'Processes', disk: 'Disk', wall: 'Time' };

function Hands({ status, now }: { status: StatusData; now: number }) {
  const { hands } = status;
  const on = hands.state === 'on';
  return (
    <Card
      title="Hands"
      hint="Where commands run: a disposable sandbox for each conversation. What is said here was seen in one that was started."
    >
      <ul class="rows">
        <Line
          name="Sandbox"
          tone={!on ? (hands.state === 'off' ? 'bad' : 'quiet') : hands.isolation === 'none' ? 'bad' : 'good'}
          word={on ? hands.driver : hands.state}
        >
          {on && (hands.isolation === 'none' ? 'nothing is isolated' : `isolation by ${hands.isolation}`)}
          {on && hands.alive > 0 && `, ${hands.alive} in use`}
          {!on && hands.detail}
          {hands.probed_at && <small class="muted">tried {agoSentence(hands.probed_at, now)}</small>}
        </Line>
        {on && (
          <Line
            name="Way out"
            tone={hands.egress_locked ? (hands.broker.state === 'failing' ? 'bad' : 'good') : 'bad'}
            word={hands.egress_locked ? 'locked' : 'open'}
          >
            {hands.egress_locked ? 'only through the broker, to hosts that are allowed' : 'commands reach any host'}
            {hands.broker.detail && <small class="muted">{hands.broker.detail}</small>}
          </Line>
        )}
        {on &&
          Object.entries(hands.limits).map(([name, means]) => (
            <Line
              key={name}
              name={LIMITS[name] ?? name}
              tone={means === null ? 'warn' : 'good'}
              word={means === null ? 'no limit' : 'limited'}
            >
              {means !== null && `by ${means}`}
            </Line>
          ))}
      </ul>
      {hands.findings.map((finding) => (
        <p key={finding.text} class={`notice ${finding.level === 'error' ? 'bad' : 'warn'}`}>
          <Icon name="alert" />
          <span>
            {finding.text} <small class="muted">{finding.fix}</small>
          </span>
        </p>
      ))}
    </Card>
  );
}

/** A bar drawn in SVG: a width in a style attribute would need a looser CSP, and <meter> looks different everywhere. */
function Gauge({ part, tone, label }: { part: number; tone: Tone; label: string }) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: see above
    <svg
      class={`gauge ${tone}`}
      viewBox="0 0 100 1"
      preserveAspectRatio="none"
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(part * 100)}
    >
      <rect width={part * 100} height="1" />
    </svg>
  );
}

function Budget({ budget }: { budget: StatusData['budget'] }) {
  const part = budget.day_limit_usd > 0 ? Math.min(1, budget.day_spent_usd / budget.day_limit_usd) : 0;
  const tone = part >= 1 ? 'bad' : part >= 0.8 ? 'warn' : 'good';
  return (
    <Card title="Budget today">
      <p class="budget">
        <strong>{usd(budget.day_spent_usd)}</strong> of {usd(budget.day_limit_usd)}
      </p>
      <Gauge part={part} tone={tone} label="Part of the daily budget that is spent" />
      {budget.unpriced_requests > 0 && (
        <p class="muted">
          Plus {plural(budget.unpriced_requests, 'request')} to models whose price is unknown: their cost is not counted
          here.
        </p>
      )}
    </Card>
  );
}

function Work({ status, now }: { status: StatusData; now: number }) {
  const { outbox, sessions, disk } = status;
  const oldest = outbox.oldest_pending_at;
  return (
    <Card title="Work">
      <ul class="rows">
        <Line
          name="Outbox"
          tone={outbox.dead > 0 ? 'bad' : outbox.pending > 0 ? 'warn' : 'good'}
          word={outbox.pending > 0 ? `${outbox.pending} waiting` : 'empty'}
        >
          {[
            oldest ? `the oldest from ${agoSentence(oldest, now)}` : '',
            outbox.dead > 0 ? `${plural(outbox.dead, 'message')} could not be delivered` : '',
          ]
            .filter(Boolean)
            .join(' · ')}
        </Line>
        <Line
          name="Sessions"
          tone={sessions.rescheduling > 0 ? 'warn' : 'good'}
          word={plural(sessions.total, 'session')}
        >
          {sessions.running} running
          {sessions.rescheduling > 0 && `, ${sessions.rescheduling} waiting for the model`}
        </Line>
        <Line
          name="Approvals"
          tone={status.approvals_pending > 0 ? 'warn' : 'good'}
          word={status.approvals_pending > 0 ? `${status.approvals_pending} waiting` : 'none waiting'}
        />
        <Line name="Disk" tone={disk.state === 'ok' ? 'good' : 'bad'} word={disk.state}>
          {disk.state === 'full' &&
            'Nothing new is accepted until there is space. Nothing is lost; Steward goes on by itself.'}
        </Line>
      </ul>
    </Card>
  );
}

export function StatusView({ store, lead }: { store: Store; lead: ComponentChildren }) {
  const status = store.status.value;
  const now = store.now.value;
  return (
    <div class="view">
      <Bar
        lead={lead}
        title="Status"
        beside={status && <Badge tone={status.ready ? 'good' : 'warn'}>{status.ready ? 'ready' : 'not ready'}</Badge>}
      />
      <div class="scroller">
        <div class="column">
          {!status && <p class="muted">Loading…</p>}
          {status && (
            <>
              {status.notices.map((notice) => (
                <p key={notice.text} class={`notice ${notice.level === 'error' ? 'bad' : 'warn'}`}>
                  <Icon name="alert" /> {notice.text}
                </p>
              ))}
              <Model status={status} now={now} />
              <Channels status={status} now={now} />
              <Hands status={status} now={now} />
              <Budget budget={status.budget} />
              <Work status={status} now={now} />
              <p class="muted foot">
                Steward {status.version} · up {duration(Math.max(0, now - Date.parse(status.started_at)))}
              </p>
            </>
          )}
        </div>
      </div>
    </div>
  );
}
