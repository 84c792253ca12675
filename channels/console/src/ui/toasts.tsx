// Short confirmations and failures at the edge of the page; announced, dismissable, gone by themselves.
import type { Toast } from '../store.ts';
import { IconButton } from './button.tsx';
import { Icon } from './icon.tsx';

export function Toasts({ list, onDismiss }: { list: readonly Toast[]; onDismiss: (id: string) => void }) {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {list.map((toast) => (
        <div key={toast.id} class={`toast ${toast.tone}`}>
          <Icon name={toast.tone === 'good' ? 'check' : 'alert'} />
          <p>
            {toast.text}
            {toast.hint && <small>{toast.hint}</small>}
          </p>
          <IconButton icon="close" label="Dismiss" onClick={() => onDismiss(toast.id)} />
        </div>
      ))}
    </div>
  );
}
