// The icons: one stroke, one size, drawn here. Decorative unless a label is given.

const paths = {
  alert: 'M12 8.5v4.5M12 16.4v.1M10.3 4.2 2.6 17.6A2 2 0 0 0 4.3 20.5h15.4a2 2 0 0 0 1.7-2.9L13.7 4.2a2 2 0 0 0-3.4 0Z',
  archive: 'M3.5 4.5h17v4h-17zM5 8.5v10.5a1 1 0 0 0 1 1h12a1 1 0 0 0 1-1V8.5M10 12.5h4',
  arrowDown: 'M12 5v14M6 13l6 6 6-6',
  arrowUp: 'M12 19V5M6 11l6-6 6 6',
  book: 'M5.5 17.5V5.5a2 2 0 0 1 2-2h11v14h-11a2 2 0 0 0 0 4h11v-4M9.5 8h5',
  chart: 'M4 20V10M10 20V4M16 20v-8M21 20H3',
  check: 'm5 12.5 4.5 4.5L19 7.5',
  chevron: 'm9 6 6 6-6 6',
  clock: 'M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17ZM12 7.5V12l3 2',
  close: 'M6 6l12 12M18 6 6 18',
  copy: 'M8.5 8.5v-4h11v11h-4M4.5 8.5h11v11h-11z',
  edit: 'M4 20h4L19 9l-4-4L4 16zM13 7l4 4',
  eye: 'M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12ZM12 9.3a2.7 2.7 0 1 0 0 5.4 2.7 2.7 0 0 0 0-5.4Z',
  eyeOff:
    'M4 4l16 16M9.9 5.7A9 9 0 0 1 12 5.5c6 0 9.5 6.5 9.5 6.5a17 17 0 0 1-3 3.6M6.2 7.5A16 16 0 0 0 2.5 12S6 18.5 12 18.5a9 9 0 0 0 4-1',
  gear: 'M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6ZM19.4 13.5a7.6 7.6 0 0 0 0-3l2-1.5-2-3.4-2.3 1a7.6 7.6 0 0 0-2.6-1.5L14.1 2.5h-4l-.4 2.6a7.6 7.6 0 0 0-2.6 1.5l-2.3-1-2 3.4 2 1.5a7.6 7.6 0 0 0 0 3l-2 1.5 2 3.4 2.3-1a7.6 7.6 0 0 0 2.6 1.5l.4 2.6h4l.4-2.6a7.6 7.6 0 0 0 2.6-1.5l2.3 1 2-3.4z',
  hand: 'M7 12V6.2a1.4 1.4 0 0 1 2.8 0V11M9.8 10.5V4.7a1.4 1.4 0 0 1 2.8 0v5.8M12.6 10.7V5.7a1.4 1.4 0 0 1 2.8 0v6.1M15.4 11.8V8.4a1.4 1.4 0 0 1 2.8 0v6.1c0 3.9-2.3 6.5-6 6.5-3 0-4.6-1.6-6-4.4L4.4 13.6a1.4 1.4 0 0 1 2.3-1.6L7 12.5',
  list: 'M8.5 6h12M8.5 12h12M8.5 18h12M4 6h.1M4 12h.1M4 18h.1',
  menu: 'M4 7h16M4 12h16M4 17h16',
  message: 'M4.5 5h15a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H12l-4.5 3.5V17h-3a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1Z',
  moon: 'M20 14.2A8.3 8.3 0 0 1 9.8 4a8.3 8.3 0 1 0 10.2 10.2Z',
  more: 'M5.5 12h.1M12 12h.1M18.5 12h.1',
  pin: 'M9 3.5h6M10 3.5v6l-3 4h10l-3-4v-6M12 13.5v7',
  plus: 'M12 5v14M5 12h14',
  pulse: 'M3 12h4l2.5-7 5 14 2.5-7h4',
  screen: 'M3.5 5h17v11h-17zM9 20h6M12 16v4',
  search: 'M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM15.3 15.3 20.5 20.5',
  send: 'M12 19V5.5M6 11l6-6 6 6',
  shield: 'M12 3.5 5 6v5.5c0 4.3 2.9 7.5 7 9 4.1-1.5 7-4.7 7-9V6z',
  stop: 'M7 7h10v10H7z',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4',
  telegram: 'm3.5 11.5 17-7-3 15-5.5-4-3 3-.5-5.5 8-6.5-10.5 5.5z',
  trash: 'M4.5 6.5h15M9.5 6.5v-3h5v3M6.5 6.5l.8 13a1 1 0 0 0 1 1h7.4a1 1 0 0 0 1-1l.8-13M10 10.5v6M14 10.5v6',
  undo: 'M8.5 4.5 4 9l4.5 4.5M4 9h10a5.5 5.5 0 0 1 0 11h-3',
  tool: 'M14.5 6.5a4.5 4.5 0 0 1 5.6-2.3l-2.8 2.8 1.5 2.2 2.9-1.3a4.5 4.5 0 0 1-5.9 4.6l-7.3 7.3a2 2 0 0 1-2.9-2.9l7.3-7.3a4.5 4.5 0 0 1 1.6-3.1Z',
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, label }: { name: IconName; label?: string }) {
  return (
    <svg
      class={`icon icon-${name}`}
      viewBox="0 0 24 24"
      role={label ? 'img' : undefined}
      aria-label={label}
      aria-hidden={!label}
    >
      <path d={paths[name]} />
    </svg>
  );
}

/** The bell on the desk. */
export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect class="logo-ground" width="32" height="32" rx="8" />
      <g class="logo-bell">
        <circle cx="16" cy="8.6" r="1.9" />
        <path d="M6.5 20.5a9.5 9.5 0 0 1 19 0z" />
        <rect x="5" y="22.3" width="22" height="2.4" rx="1.2" />
      </g>
    </svg>
  );
}
