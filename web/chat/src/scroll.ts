import type { MessageList } from '@ackbox/client';
import { type RefObject, useCallback, useRef, useState } from 'react';
import type { Row } from './rows';
import type { Place, Scroller } from './Scroller';

interface Window {
  readonly rows: readonly Row[];
  /** Changes when the rows have nothing to do with those before. */
  readonly generation: number;
}

function follow(old: Window, rows: readonly Row[]): Window {
  const known = new Set(old.rows.map((row) => row.item.key));
  const other = known.size > 0 && rows.length > 0 && !rows.some((row) => known.has(row.item.key));
  return { rows, generation: old.generation + (other ? 1 : 0) };
}

export interface Scroll {
  readonly ref: RefObject<Scroller | null>;
  /** Where a new list begins: a key for it. */
  readonly place: string;
  readonly start: Place;
  readonly atEnd: boolean;
  readonly setAtEnd: (atEnd: boolean) => void;
  /** Goes to a conversation_seq, loading what is around it. Stays the same function. */
  readonly jump: (seq: number) => Promise<void>;
  readonly newest: () => Promise<void>;
}

export function useScroll(list: MessageList, rows: readonly Row[]): Scroll {
  const ref = useRef<Scroller | null>(null);
  const [atEnd, setAtEnd] = useState(true);
  const [jumps, setJumps] = useState<{ count: number; seq: number | null }>({ count: 0, seq: null });
  const [held, setHeld] = useState<Window>({ rows, generation: 0 });
  const window = held.rows === rows ? held : follow(held, rows);
  if (window !== held) setHeld(window);
  const shown = useRef(rows);
  shown.current = rows;

  const jump = useCallback(
    async (seq: number) => {
      const index = shown.current.findIndex((row) => row.item.message?.conversation_seq === seq);
      if (index >= 0) {
        ref.current?.show({ index, align: 'center' });
        return;
      }
      await list.loadAround(seq);
      setJumps(({ count }) => ({ count: count + 1, seq }));
    },
    [list],
  );
  const newest = useCallback(async () => {
    if (!list.get().hasNewer) {
      ref.current?.show({ index: shown.current.length - 1, align: 'end' });
      return;
    }
    await list.loadNewest();
    setJumps(({ count }) => ({ count: count + 1, seq: null }));
  }, [list]);

  return { ref, place: `${window.generation}:${jumps.count}`, start: startOf(rows, jumps.seq), atEnd, setAtEnd, jump, newest };
}

function startOf(rows: readonly Row[], seq: number | null): Place {
  const wanted = seq === null ? -1 : rows.findIndex((row) => (row.item.message?.conversation_seq ?? 0) >= seq);
  if (wanted >= 0) return { index: wanted, align: 'center' };
  const unread = rows.findIndex((row) => row.unread);
  return unread >= 0 ? { index: unread, align: 'start' } : { index: rows.length - 1, align: 'end' };
}
