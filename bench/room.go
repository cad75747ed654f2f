package bench

import (
	"sync"
	"sync/atomic"
	"time"
)

// room is the account of one conversation of several: what the service accepted there in this run, by conversation_seq, and
// what each member was shown. Every member, the sender too, has to be shown everything once, in the conversation's order.
type room struct {
	id     string
	racing atomic.Bool

	mu            sync.Mutex
	accepted      bitset
	acceptedCount atomic.Int64

	seats []*seat
}

// seat is one member's place in a room. Its reader alone writes it.
type seat struct {
	run    *run
	room   *room
	last   int64 // highest conversation_seq shown; 0: none yet
	newest []mark
	shown  bitset
	count  atomic.Int64
}

// mark is the newest message of one sender that a seat was shown.
type mark struct{ sender, index int }

// sit adds a member who holds the conversation up to a conversation_seq (0: unknown, the next one seen is taken as it is).
func (m *room) sit(r *run, held int64) *seat {
	s := &seat{run: r, room: m, last: held}
	m.seats = append(m.seats, s)
	return s
}

func (m *room) accept(_ int, answer []byte) {
	seq, ok := uintField(answer, `"conversation_seq"`)
	if !ok || seq > maxMessagesASender {
		m.seats[0].run.errors.add("answer without a conversation_seq")
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.accepted.add(int(seq)) {
		m.acceptedCount.Add(1)
	}
}

func (m *room) race() { m.racing.Store(true) }

func (m *room) settled() bool {
	for _, s := range m.seats {
		if s.count.Load() < m.acceptedCount.Load() {
			return false
		}
	}
	return true
}

func (m *room) lost() int64 {
	var n int64
	for _, s := range m.seats {
		n += m.accepted.without(&s.shown)
	}
	return n
}

// take takes the message at a conversation_seq; ok is false when it is not this run's, or was shown before.
func (s *seat) take(seq int64, message []byte, now time.Duration) (k key, ok bool) {
	last := s.last
	s.last = max(last, seq)
	k, ours := s.run.keyOf(message)
	if !ours || seq > maxMessagesASender {
		return k, false // a notice, or an earlier run's
	}
	newest := s.mark(k.sender)
	if !s.shown.add(int(seq)) || k.index == newest.index {
		s.run.duplicates.Add(1)
		return k, false
	}
	if (last > 0 && seq != last+1) || (k.index < newest.index && !s.room.racing.Load()) {
		s.run.disorder.Add(1)
	}
	newest.index = max(newest.index, k.index)
	s.count.Add(1)
	s.run.shown(k, now)
	return k, true
}

// mark finds a sender's among the few there are.
func (s *seat) mark(sender int) *mark {
	for i := range s.newest {
		if s.newest[i].sender == sender {
			return &s.newest[i]
		}
	}
	s.newest = append(s.newest, mark{sender: sender, index: -1})
	return &s.newest[len(s.newest)-1]
}
