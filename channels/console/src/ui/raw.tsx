// Text that may try to deceive, shown as it is: monospaced, wrapped, every invisible character marked.
import { useMemo } from 'preact/hooks';
import { pieces } from '../visible.ts';

/** More than this is cut with a note: a tool result can be megabytes, a page cannot. */
const SHOWN = 40_000;

interface RawProps {
  text: string;
  label: string;
  /** Never cut: what is approved must have been there to see. */
  whole?: boolean;
}

export function Raw({ text, label, whole }: RawProps) {
  const limit = whole ? text.length : SHOWN;
  const shown = useMemo(() => pieces(text.slice(0, limit)), [text, limit]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    // biome-ignore lint/a11y/useSemanticElements: preformatted text that needs a name, not a set of fields
    <pre class="raw" role="group" tabIndex={0} aria-label={label}>
      {shown.map((piece, index) =>
        piece.kind === 'text' ? (
          piece.text
        ) : (
          <mark key={index} class="invisible" title={`${piece.code} ${piece.name}`}>
            {piece.code} {piece.name}
          </mark>
        ),
      )}
      {text.length > limit && (
        <span class="cut">{`\n… ${(text.length - limit).toLocaleString('en-US')} more characters`}</span>
      )}
    </pre>
  );
}

/** Any value as readable text: strings as they are, the rest as indented JSON. */
export function readable(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value, null, 2) ?? String(value));
}
