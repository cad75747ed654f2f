import type { Conversation, MessageItem } from '@ackbox/client';
import { useMemo, useRef, useState } from 'react';
import { dayOf } from './moment';

/** A message as it is shown: with the day above it, the mark of what is new, and the sender's name if it was another before. */
export interface Row {
  readonly item: MessageItem;
  readonly at: number;
  readonly day: boolean;
  readonly unread: boolean;
  readonly first: boolean;
}

/** Messages of one sender that are closer than this stand together, in ms. */
const together = 5 * 60_000;

/** Where what is new begins: it stays where it was when the conversation was opened. */
function useUnreadFrom(conversation: Conversation | null): number {
  const id = conversation?.conversation_id ?? null;
  const [mark, setMark] = useState<{ id: string | null; from: number }>({ id: null, from: Infinity });
  if (!conversation || mark.id === id) return mark.from;
  const next = { id, from: conversation.unread > 0 ? conversation.read_seq : Infinity };
  setMark(next);
  return next.from;
}

export function useRows(items: readonly MessageItem[], conversation: Conversation | null): readonly Row[] {
  const unreadFrom = useUnreadFrom(conversation);
  // A row that has not changed is the same object, so that it is not drawn again.
  const kept = useRef<ReadonlyMap<string, Row>>(new Map());
  return useMemo(() => {
    // What a recall leaves in the order is not shown: the recalled message itself says so.
    const shown = items.filter(({ message }) => message?.type !== 'recall');
    const made = new Map<string, Row>();
    // Below what is loaded it is not known where the mark belongs.
    let marked = (shown[0]?.message?.conversation_seq ?? 0) > unreadFrom + 1;
    const rows = shown.map((item, i) => {
      const at = timeOf(item);
      const before = shown[i - 1];
      const day = !before || dayOf(timeOf(before)) !== dayOf(at);
      const seq = item.message?.conversation_seq ?? 0;
      const unread = !marked && !item.mine && seq > unreadFrom;
      marked ||= unread;
      const first = day || unread || !before || senderOf(before) !== senderOf(item) || at - timeOf(before) > together;
      const old = kept.current.get(item.key);
      const same = old && old.item === item && old.day === day && old.unread === unread && old.first === first;
      const row = same ? old : { item, at, day, unread, first };
      made.set(item.key, row);
      return row;
    });
    kept.current = made;
    return rows;
  }, [items, unreadFrom]);
}

function senderOf({ mine, message }: MessageItem): string {
  if (message?.type === 'notice') return 'notice';
  return mine ? 'me' : (message?.sender_id ?? '');
}

function timeOf({ message, pending }: MessageItem): number {
  return message ? Date.parse(message.created_at) : (pending?.at ?? 0);
}
