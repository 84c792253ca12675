// What this browser remembers: the theme, unsent text, unconfirmed messages. Works, forgetting, where storage is refused.
import { effect, signal } from '@preact/signals';

function read(key: string): string | null {
  try {
    return localStorage.getItem(`steward:${key}`);
  } catch {
    return null;
  }
}

/** False when it could not be kept (storage full or refused). */
function write(key: string, value: string | null): boolean {
  try {
    if (value === null) localStorage.removeItem(`steward:${key}`);
    else localStorage.setItem(`steward:${key}`, value);
    return true;
  } catch {
    return false;
  }
}

export type Theme = 'system' | 'light' | 'dark';

const stored = read('theme');
export const theme = signal<Theme>(stored === 'light' || stored === 'dark' ? stored : 'system');

/** The palette follows `color-scheme` in CSS; the attribute only forces one side of it. */
export function applyTheme(): void {
  effect(() => {
    const { documentElement } = document;
    if (theme.value === 'system') documentElement.removeAttribute('data-theme');
    else documentElement.setAttribute('data-theme', theme.value);
    write('theme', theme.value === 'system' ? null : theme.value);
  });
}

export const drafts = {
  read: (session: string): string => read(`draft:${session}`) ?? '',
  write: (session: string, text: string): boolean => write(`draft:${session}`, text === '' ? null : text),
};

export const unconfirmed = {
  read: (session: string): string | null => read(`outgoing:${session}`),
  write: (session: string, json: string | null): boolean => write(`outgoing:${session}`, json),
};
