// A moment: short on the page, in full on hover and for machines.
import { ago, clock, fullTime } from '../format.ts';

export function Clock({ at }: { at: string }) {
  return (
    <time dateTime={at} title={fullTime(at)}>
      {clock(at)}
    </time>
  );
}

export function Ago({ at, now }: { at: string | null; now: number }) {
  if (!at) return <span>never</span>;
  return (
    <time dateTime={at} title={fullTime(at)}>
      {ago(at, now)}
    </time>
  );
}
