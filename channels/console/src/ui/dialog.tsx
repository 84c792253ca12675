// A modal dialog over <dialog>: the browser keeps the focus inside, Escape closes, a click beside it closes.
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { IconButton } from './button.tsx';

interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  /** A drawer slides in from the left and shows no title bar. */
  drawer?: boolean;
  children: ComponentChildren;
}

export function Dialog({ open, onClose, title, drawer, children }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const heading = useId();

  useEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    if (open && !dialog.open) dialog.showModal();
    if (!open && dialog.open) dialog.close();
  }, [open]);

  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the click closes from outside; Escape is the key for it
    <dialog
      ref={ref}
      class={drawer ? 'drawer' : 'dialog'}
      aria-labelledby={drawer ? undefined : heading}
      aria-label={drawer ? title : undefined}
      onClose={onClose}
      onClick={(event) => {
        const { target, currentTarget } = event;
        const chosen = drawer && target instanceof Element && target.closest('a') !== null;
        if (target === currentTarget || chosen) currentTarget.close();
      }}
    >
      {open && (
        <div class="dialog-body">
          {!drawer && (
            <header class="dialog-head">
              <h2 id={heading}>{title}</h2>
              <IconButton icon="close" label="Close" onClick={() => ref.current?.close()} />
            </header>
          )}
          {children}
        </div>
      )}
    </dialog>
  );
}
