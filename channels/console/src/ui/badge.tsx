// Badges and dots: small words and colours beside a name. The word is always there; colour alone says nothing.
import type { ComponentChildren } from 'preact';

export type Tone = 'quiet' | 'good' | 'warn' | 'bad' | 'accent';

export function Badge({
  tone = 'quiet',
  title,
  children,
}: {
  tone?: Tone;
  title?: string;
  children: ComponentChildren;
}) {
  return (
    <span class={`badge ${tone}`} title={title}>
      {children}
    </span>
  );
}

export function Count({ value, label }: { value: number; label: string }) {
  if (value === 0) return null;
  return (
    <span class="count" role="img" aria-label={`${value} ${label}`}>
      {value > 99 ? '99+' : value}
    </span>
  );
}

export function Dot({ tone, label, pulse }: { tone: Tone; label: string; pulse?: boolean }) {
  return <span class={`dot ${tone} ${pulse ? 'pulse' : ''}`} role="img" aria-label={label} title={label} />;
}
