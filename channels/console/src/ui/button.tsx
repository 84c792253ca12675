// Buttons: one component, four looks. `busy` keeps the width and tells assistive technology.
import type { ComponentChildren, JSX } from 'preact';
import { Icon, type IconName } from './icon.tsx';

interface ButtonProps extends Omit<JSX.IntrinsicElements['button'], 'icon' | 'class'> {
  look?: 'plain' | 'primary' | 'danger' | 'ghost';
  small?: boolean;
  busy?: boolean;
  icon?: IconName;
  class?: string;
  children?: ComponentChildren;
}

export function Button({ look = 'plain', small, busy, icon, class: extra, children, disabled, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      class={`button ${look} ${small ? 'small' : ''} ${extra ?? ''}`}
      disabled={Boolean(disabled) || busy}
      aria-busy={busy}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

interface IconButtonProps extends Omit<JSX.IntrinsicElements['button'], 'icon' | 'class' | 'label'> {
  icon: IconName;
  /** Read aloud and shown on hover. */
  label: string;
  class?: string;
}

export function IconButton({ icon, label, class: extra, ...rest }: IconButtonProps) {
  return (
    <button type="button" {...rest} class={`icon-button ${extra ?? ''}`} aria-label={label} title={label}>
      <Icon name={icon} />
    </button>
  );
}
