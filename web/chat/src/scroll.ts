import type { MessageList } from '@ackbox/client';
import { type RefObject, useCallback, useRef, useState } from 'react';
import type { VirtuosoHandle } from 'react-virtuoso';
import type { Row } from './rows';

/** The index of the first row at the beginning; older rows go below it. */
const middle = 1_000_000;

interface Window {
  readonly rows: readonly Row[];
  readonly firstIndex: number;
  /** Changes when the rows have nothing to do with those before. */
  readonly generation: number;
}

/** Keeps the numbers of rows that stay while others come before or go away. */
function follow(old: Window, rows: readonly Row[]): Window {
  const firstKey = old.rows[0]?.item.key;
  const newKey = rows[0]?.item.key;
  if (firstKey === undefined || newKey === undefined) return { rows, firstIndex: middle, generation: old.generation };
  const added = rows.findIndex((row) => row.item.key === firstKey);
  if (added >= 0) return { rows, firstIndex: old.firstIndex - added, generation: old.generation };
  const removed = old.rows.findIndex((row) => row.item.key === newKey);
  if (removed >= 0) return { rows, firstIndex: old.firstIndex + removed, generation: old.generation };
  return { rows, firstIndex: middle, generation: old.generation + 1 };
}

interface Start {
  readonly index: number;
  readonly align: 'start' | 'center' | 'end';
}

export interface Scroll {
  readonly ref: RefObject<VirtuosoHandle | null>;
  readonly firstIndex: number;
  /** Where a new list begins: a key for it. */
  readonly place: string;
  readonly start: Start;
  readonly atEnd: boolean;
  readonly setAtEnd: (atEnd: boolean) => void;
  /** Goes to a conversation_seq, loading what is around it. */
  readonly jump: (seq: number) => Promise<void>;
  readonly newest: () => Promise<void>;
}

export function useScroll(list: MessageList, rows: readonly Row[]): Scroll {
  const ref = useRef<VirtuosoHandle | null>(null);
  const [atEnd, setAtEnd] = useState(true);
  const [jumps, setJumps] = useState<{ count: number; seq: number | null }>({ count: 0, seq: null });
  const [held, setHeld] = useState<Window>({ rows, firstIndex: middle, generation: 0 });
  const window = held.rows === rows ? held : follow(held, rows);
  if (window !== held) setHeld(window);

  const jump = useCallback(
    async (seq: number) => {
      const index = rows.findIndex((row) => row.item.message?.conversation_seq === seq);
      if (index >= 0) {
        ref.current?.scrollToIndex({ index, align: 'center' });
        return;
      }
      await list.loadAround(seq);
      setJumps(({ count }) => ({ count: count + 1, seq }));
    },
    [list, rows],
  );
  const newest = useCallback(async () => {
    if (!list.get().hasNewer) {
      ref.current?.scrollToIndex({ index: 'LAST', align: 'end' });
      return;
    }
    await list.loadNewest();
    setJumps(({ count }) => ({ count: count + 1, seq: null }));
  }, [list]);

  return { ref, firstIndex: window.firstIndex, place: `${window.generation}:${jumps.count}`, start: startOf(rows, jumps.seq), atEnd, setAtEnd, jump, newest };
}

function startOf(rows: readonly Row[], seq: number | null): Start {
  const wanted = seq === null ? -1 : rows.findIndex((row) => (row.item.message?.conversation_seq ?? 0) >= seq);
  if (wanted >= 0) return { index: wanted, align: 'center' };
  const unread = rows.findIndex((row) => row.unread);
  return unread >= 0 ? { index: unread, align: 'start' } : { index: rows.length - 1, align: 'end' };
}
