// A small menu over the popover attribute: light dismiss and Escape come from the browser. Items are buttons or links.
import type { ComponentChildren } from 'preact';
import { useId, useRef } from 'preact/hooks';
import { Icon, type IconName } from './icon.tsx';

interface MenuProps {
  icon: IconName;
  label: string;
  children: ComponentChildren;
}

export function Menu({ icon, label, children }: MenuProps) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);

  /** Beside its button, inside the window. CSS anchors would do it; not every browser of today has them. */
  function place(): void {
    const from = button.current?.getBoundingClientRect();
    const menu = panel.current;
    if (!from || !menu) return;
    menu.style.top = `${Math.min(from.bottom + 6, innerHeight - menu.offsetHeight - 8)}px`;
    menu.style.left = `${Math.max(8, Math.min(from.right - menu.offsetWidth, innerWidth - menu.offsetWidth - 8))}px`;
  }

  return (
    <>
      <button
        ref={button}
        type="button"
        class="icon-button"
        popovertarget={id}
        aria-label={label}
        title={label}
        aria-haspopup="true"
      >
        <Icon name={icon} />
      </button>
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: closes after a choice; the choices are buttons with their keys */}
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the same */}
      <div
        ref={panel}
        id={id}
        popover="auto"
        class="menu"
        onToggle={(event) => {
          if (event.newState === 'open') place();
        }}
        onClick={() => panel.current?.hidePopover()}
      >
        {children}
      </div>
    </>
  );
}
