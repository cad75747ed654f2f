import type { Quote, User } from '@ackbox/client';
import { useText } from './language';
import { useName } from './people';

/** What a message replies to; pressing it goes there. */
export function Quoted({ me, quote, onJump }: { me: User; quote: Quote; onJump: (seq: number) => Promise<void> }) {
  const text = useText();
  const name = useName(quote.sender_id);
  return (
    <button type="button" className="quote" onClick={() => void onJump(quote.conversation_seq)}>
      <strong>{quote.sender_id === me.user_id ? text.you : name}</strong>
      <span className="ellipsis">{quote.recalled ? text.recalled : quote.text || text.types[quote.type]}</span>
    </button>
  );
}
