// The address bar as state: hash routes, one signal. No history tricks: a link is an <a href="#/…">.
import { signal } from '@preact/signals';

export type Route =
  /** `id` null is the owner's main conversation. */
  | { name: 'chat'; id: string | null }
  | { name: 'timeline'; id: string; event: string | null }
  | { name: 'approvals' }
  /** `item` null is all of it. */
  | { name: 'memory'; item: string | null }
  /** `id` null is the list. */
  | { name: 'tasks'; id: string | null }
  | { name: 'settings' }
  | { name: 'status' };

export function parseRoute(hash: string): Route {
  const [, head, id, tab, event] = hash.replace(/^#/, '').split('/').map(safeDecode);
  if (head === 's' && id)
    return tab === 'timeline' ? { name: 'timeline', id, event: event || null } : { name: 'chat', id };
  if (head === 'memory') return { name: 'memory', item: id || null };
  if (head === 'tasks') return { name: 'tasks', id: id || null };
  if (head === 'approvals' || head === 'settings' || head === 'status') return { name: head };
  return { name: 'chat', id: null };
}

function safeDecode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const to = {
  main: () => '#/',
  chat: (id: string) => `#/s/${encodeURIComponent(id)}`,
  timeline: (id: string, event?: string) =>
    `#/s/${encodeURIComponent(id)}/timeline${event ? `/${encodeURIComponent(event)}` : ''}`,
  approvals: () => '#/approvals',
  memory: (item?: string) => `#/memory${item ? `/${encodeURIComponent(item)}` : ''}`,
  tasks: (id?: string) => `#/tasks${id ? `/${encodeURIComponent(id)}` : ''}`,
  settings: () => '#/settings',
  status: () => '#/status',
};

export const route = signal<Route>(parseRoute(location.hash));

export function followAddressBar(): void {
  addEventListener('hashchange', () => {
    route.value = parseRoute(location.hash);
  });
}

export function go(hash: string): void {
  location.hash = hash;
}
