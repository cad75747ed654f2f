import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeriesBook } from '../src/series.js';

const sample = (at: number, sends: number) => ({ at, sends });

test('nodes are added up where they measured, polls are merged, and the old is forgotten', () => {
  const book = new SeriesBook();
  book.add({ step_ms: 2_000, nodes: [{ node: '10', samples: [sample(2_100, 1), sample(4_100, 2)] }, { node: '2', samples: [sample(4_900, 10)] }] }, 5);
  book.add({ step_ms: 2_000, nodes: [{ node: '2', samples: [sample(4_900, 10), sample(8_900, 30)] }] }, 5);
  const slots = book.slots();
  assert.deepEqual(book.nodes(), ['2', '10']);
  assert.deepEqual(book.times(slots), [2, 4, 6, 8]);
  assert.deepEqual(book.line('sends', ['2', '10'], slots, 'sum'), [1, 12, null, 30]);
  assert.deepEqual(book.line('sends', ['2', '10'], slots, 'highest'), [1, 10, null, 30]);
  assert.deepEqual(book.line('sends', ['2', '10'], slots, 'mean', 2), [0.5, 3, null, 15]);
  assert.deepEqual(book.line('acks', ['2'], slots, 'sum'), [null, null, null, null]);

  book.add({ step_ms: 2_000, nodes: [{ node: '2', samples: [sample(400_000, 1)] }] }, 5);
  assert.deepEqual(book.nodes(), ['2'], 'a node that says nothing for the whole range is gone');
  assert.equal(book.slots().length, 1);
});
