// Copies text and says so. Works on plain-http addresses too, where the clipboard API is missing.
import { useEffect, useRef, useState } from 'preact/hooks';
import { Icon } from './icon.tsx';

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'offscreen';
    // Inside an open dialog, only the dialog's own content can be selected.
    const home = document.querySelector('dialog[open]') ?? document.body;
    home.append(area);
    area.select();
    const copied = document.execCommand('copy');
    area.remove();
    return copied;
  }
}

interface CopyProps {
  text: () => string;
  label: string;
  /** Shows the words beside the icon. */
  words?: boolean;
}

export function CopyButton({ text, label, words }: CopyProps) {
  const [copied, setCopied] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const shown = copied ? 'Copied' : label;
  return (
    <button
      type="button"
      class={words ? 'button ghost small' : 'icon-button small'}
      aria-label={words ? undefined : shown}
      title={shown}
      onClick={async () => {
        setCopied(await copyText(text()));
        clearTimeout(timer.current);
        timer.current = setTimeout(() => setCopied(false), 1_600);
      }}
    >
      <Icon name={copied ? 'check' : 'copy'} />
      {words && <span>{shown}</span>}
    </button>
  );
}
