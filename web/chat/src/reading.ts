import type { Conversation } from '@ackbox/client';
import { useCallback, useEffect, useRef } from 'react';
import { useClient } from './client';
import type { Row } from './rows';

/** Tells the server what was in sight while somebody looked at the page. Answers what to call with the last row that is in sight. */
export function useReading(conversation: Conversation | null, rows: readonly Row[], atEnd: boolean): (last: number) => void {
  const client = useClient();
  const seen = useRef(0);
  const told = useRef(0);
  const id = conversation?.conversation_id ?? null;
  const readSeq = conversation?.read_seq ?? 0;

  const look = useCallback(() => {
    if (!id || document.visibilityState !== 'visible' || !document.hasFocus()) return;
    const seq = atEnd ? seqUpTo(rows, rows.length - 1) : seen.current;
    if (seq <= Math.max(told.current, readSeq)) return;
    told.current = seq;
    client.read(id, seq).catch(() => {
      told.current = 0; // told again at the next look
    });
  }, [client, id, readSeq, rows, atEnd]);

  useEffect(() => {
    look();
    window.addEventListener('focus', look);
    document.addEventListener('visibilitychange', look);
    return () => {
      window.removeEventListener('focus', look);
      document.removeEventListener('visibilitychange', look);
    };
  }, [look]);

  return useCallback(
    (last) => {
      seen.current = seqUpTo(rows, last);
      look();
    },
    [look, rows],
  );
}

function seqUpTo(rows: readonly Row[], index: number): number {
  for (let i = Math.min(index, rows.length - 1); i >= 0; i--) {
    const seq = rows[i]?.item.message?.conversation_seq;
    if (seq !== undefined) return seq;
  }
  return 0;
}
