// What a browser without a session sees: how to get a link, and nothing else.
import { Button } from '../ui/button.tsx';
import { CopyButton } from '../ui/copy.tsx';
import { Logo } from '../ui/icon.tsx';

const COMMAND = 'npx steward login';

export function SignIn({ onRetry }: { onRetry: () => void }) {
  return (
    <main class="sign-in">
      <Logo />
      <h1>Sign in to Steward</h1>
      <p>On the machine where Steward runs, in its folder, type:</p>
      <div class="command">
        <code>{COMMAND}</code>
        <CopyButton text={() => COMMAND} label="Copy" words />
      </div>
      <p>It prints a link that works once. Open it in this browser.</p>
      <Button look="ghost" onClick={onRetry}>
        I have opened it
      </Button>
    </main>
  );
}
