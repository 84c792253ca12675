// The frame of every view: a title bar, a scrolling body, and the words for an empty or a failed one.
import type { ComponentChildren } from 'preact';
import { Button } from './button.tsx';
import { Icon, type IconName } from './icon.tsx';

interface BarProps {
  title: ComponentChildren;
  /** Beside the title: badges. */
  beside?: ComponentChildren;
  actions?: ComponentChildren;
  /** The menu button of a narrow window. */
  lead?: ComponentChildren;
}

export function Bar({ title, beside, actions, lead }: BarProps) {
  return (
    <header class="bar">
      {lead}
      <div class="bar-title">
        <h1 tabIndex={-1}>{title}</h1>
        {beside}
      </div>
      <div class="bar-actions">{actions}</div>
    </header>
  );
}

export function Card({
  title,
  hint,
  children,
}: {
  title: string;
  hint?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section class="card">
      <header>
        <h2>{title}</h2>
        {hint && <p>{hint}</p>}
      </header>
      {children}
    </section>
  );
}

export function Empty({ icon, title, children }: { icon: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={icon} />
      <h2>{title}</h2>
      {children}
    </div>
  );
}

interface FailedProps {
  message: string;
  hint: string;
  onRetry: () => void;
}

export function Failed({ message, hint, onRetry }: FailedProps) {
  return (
    <div class="empty" role="alert">
      <Icon name="alert" />
      <h2>{message}</h2>
      {hint && <p>{hint}</p>}
      <Button onClick={onRetry}>Try again</Button>
    </div>
  );
}
