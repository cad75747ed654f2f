import type { OutboxItem } from '@ackbox/client';
import { useClient } from './client';
import { useText } from './language';
import { sendErrorText } from './problem';

/** Why a message is not sent, and what to do about it. */
export function Unsent({ item }: { item: OutboxItem }) {
  const client = useClient();
  const text = useText();
  return (
    <p className="unsent" role="alert">
      <span>
        {text.failed}
        {item.error ? ` · ${sendErrorText(text, item.error)}` : ''}
      </span>
      <button type="button" className="link" onClick={() => void client.resend(item.clientMsgID).catch(() => undefined)}>
        {text.resend}
      </button>
      <button type="button" className="link" onClick={() => void client.discard(item.clientMsgID).catch(() => undefined)}>
        {text.discard}
      </button>
    </p>
  );
}
