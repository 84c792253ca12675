// A strip across the page for what concerns everything: no connection, safe mode, a full disk.
import type { ComponentChildren } from 'preact';
import { Icon, type IconName } from './icon.tsx';

interface BannerProps {
  tone: 'warn' | 'bad' | 'quiet';
  icon?: IconName;
  children: ComponentChildren;
  action?: ComponentChildren;
}

export function Banner({ tone, icon = 'alert', children, action }: BannerProps) {
  return (
    <div class={`banner ${tone}`} role={tone === 'quiet' ? 'status' : 'alert'}>
      <Icon name={icon} />
      <p>{children}</p>
      {action}
    </div>
  );
}
