import assert from 'node:assert/strict';
import { test } from 'node:test';
import { picture } from '../src/lanes.js';
import type { Trace, TraceEvent } from '../src/types.js';

function trace(events: TraceEvent[], recipients: Trace['recipients'] = []): Trace {
  return { message_id: '1', conversation_id: '2', delivery: 'mailbox', sender_id: '3', client_message_id: 'k', accepted: { at: 0, node: '2', source: 'trace' }, recipients, events, complete: true, sampled: true };
}

const bob = { user_id: '7', username: 'bob', seq: 4, delivered: true, read: false, devices: [{ device_id: 'phone', name: 'iPhone', state: 'acked' as const, acked: 4, head: 4 }] };

test('nodes come first, then devices by their names, and an event knows its node', () => {
  const drawn = picture(
    trace(
      [
        { at: 1_009, node: '10', kind: 'pushed', user_id: '7', device_id: 'phone', attempt: 1 },
        { at: 1_000, node: '2', kind: 'accepted', user_id: '3' },
        { at: 1_020, node: '10', kind: 'receipt', user_id: '7' },
        { at: 1_030, node: '10', kind: 'pushed', user_id: '8', device_id: 'web' },
      ],
      [bob],
    ),
    800,
  );
  assert.deepEqual(
    drawn.lanes.map(({ kind, user, name }) => [kind, user, name]),
    [
      ['node', '', '2'],
      ['node', '', '10'],
      ['device', 'bob', 'iPhone'],
      ['device', '8', 'web'],
    ],
  );
  // What a person did is drawn at their only device.
  assert.deepEqual(
    drawn.marks.map(({ event, lane, other }) => [event.kind, lane, other]),
    [
      ['accepted', 0, null],
      ['pushed', 2, 1],
      ['receipt', 2, 1],
      ['pushed', 3, 1],
    ],
  );
});

test('time goes from left to right, a moment is one place, and two events of one lane never lie on each other', () => {
  const drawn = picture(
    trace([
      { at: 1_000, node: '2', kind: 'accepted' },
      { at: 1_000, node: '2', kind: 'committed' },
      { at: 1_000, node: '3', kind: 'relayed' },
      { at: 1_001, node: '2', kind: 'pushed', user_id: '7', device_id: 'phone' },
      { at: 3_600_000, node: '2', kind: 'read', user_id: '7', device_id: 'phone' },
    ]),
    600,
  );
  const [accepted, committed, relayed, pushed, read] = drawn.marks.map(({ x }) => x);
  assert.ok(accepted !== undefined && committed !== undefined && relayed !== undefined && pushed !== undefined && read !== undefined);
  assert.ok(committed - accepted >= 60 && pushed > committed && read - pushed > pushed - committed, String([accepted, committed, pushed, read]));
  assert.equal(relayed, committed);
  assert.deepEqual(
    drawn.ticks.map(({ at }) => at),
    [1_000, 1_001, 3_600_000],
  );
  assert.ok(drawn.width <= 600, `an hour fits into the room: ${drawn.width}`);
});

test('a person without devices has a lane, and too many lanes are told', () => {
  assert.deepEqual(picture(trace([{ at: 1, kind: 'read', user_id: '9' }]), 600).lanes.at(-1), { key: '9/', kind: 'person', user: '9', name: '' });
  const crowd = Array.from({ length: 40 }, (_, n) => ({ ...bob, user_id: String(100 + n), devices: [{ ...bob.devices[0], device_id: 'web', name: '', state: 'waiting' as const, acked: 0, head: 1 }] }));
  const drawn = picture(trace([{ at: 1, node: '2', kind: 'pushed', user_id: '139', device_id: 'web' }], crowd), 600);
  assert.equal(drawn.lanes.length + drawn.left, 41);
  assert.ok(drawn.left > 0);
  assert.deepEqual(drawn.marks, []);
});
