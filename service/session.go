package service

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ackbox/model"
	"ackbox/trace"
)

// Bounds of a session.
const (
	// connectPushes is how many waiting entries are pushed on connect (and when a
	// session comes back from behind) before the client is told to pull the rest.
	connectPushes = 100
	// maxUnacked is how many pushes may wait for their ack.
	maxUnacked = 256
	// maxStash is how many entries that came before their turn are kept; beyond, the
	// mailbox is read.
	maxStash = 64
	// maxOutbox is how many frames may wait for the socket: the un-acked pushes and as many
	// receipts and notes again. What is beyond is dropped and found again: receipts by GET …/receipts.
	maxOutbox = 2 * maxUnacked
	// laterSpread is below which a session that is closed with 1013 is asked to come back.
	laterSpread = 10 * time.Second
	// socketFrames is how many frames the socket may hold that it could not write at once.
	socketFrames = 14
)

// Close codes of the contract.
const (
	CloseGoingAway    = 1001 // the server is stopping
	CloseData         = 1003 // the client sent data
	CloseRestart      = 1012
	CloseTryLater     = 1013
	CloseToken        = 4001 // token expired or revoked
	CloseReplaced     = 4002 // the same device connected again
	CloseBanned       = 4003
	CloseUnacked      = 4008
	CloseSlow         = 4009
	ClosePositionLost = 4010
)

// Socket is one connection, as Delivery needs it (ws.Conn fits).
type Socket interface {
	// Push takes frames, in order, and does not wait. The last `waits` of them could not be
	// written at once: when one has been, the session's Written is called. Not ok: it is closed.
	Push(frames [][]byte) (waits int, ok bool)
	// Ping asks the other end for a sign of life, and does not wait.
	Ping()
	// Close sends a last frame (when it is not empty) and closes with a code, without waiting.
	Close(last []byte, code int, reason string)
}

// sessionState says what a session does with a new entry.
//
//	opening ──caught up──▶ live ──256 un-acked──▶ behind
//	   │  ▲                 │                       │
//	   │  └──── a hole ─────┘                       │
//	   │  ◀──────── acked up to head ───────────────┤
//	   └──────── more than 100 wait ───────────────▶┘
type sessionState int

const (
	stateOpening sessionState = iota // the pump is reading the mailbox for it
	stateLive                        // everything up to sent has been pushed; the next entry is pushed as it comes
	stateBehind                      // the client pulls; nothing is pushed until it has acked up to resumeAt
	stateClosed
)

func (s sessionState) String() string {
	return [...]string{"opening", "live", "behind", "closed"}[s]
}

// Session is one device's connection on this node and what has been pushed to it.
// Its lock is held for bookkeeping and for writes that do not wait, never across anything that waits.
type Session struct {
	Key          model.DeviceKey
	ConnectionID string
	Family       model.FamilyID // the login whose tokens opened it
	ExpiresAt    time.Time
	joined       model.Millis
	socket       Socket
	delivery     *Delivery
	opened       func() // see Opening.Opened

	acking  atomic.Int64 // acks of the device that have arrived and are not committed
	evicted atomic.Bool  // the ack queue forgot a push of this session

	mu        sync.Mutex
	state     sessionState
	acked     int64              // what the device holds, as far as this session knows
	floorAck  int64              // the device's position when the session began: not news
	sent      int64              // everything up to here has been pushed, or acked
	head      int64              // last known seq of the mailbox
	resumeAt  int64              // when behind: acked up to here, pushes resume
	unread    bool               // the mailbox must be read to its end before the session is live
	announce  bool               // tell synced when the pump has caught up
	unacked   []int64            // pushed and not acked, ascending
	selective map[int64]struct{} // acked out of order, above acked
	stash     map[int64][]byte   // came before their turn: seq → message
	gapSince  time.Time          // when the stash began to wait
	rounds    int                // pushes again from the mailbox since the last ack
	pumping   bool               // queued for or in the pump

	logs map[model.ConversationID]*logState // log conversations; nil for most

	outbox      [][]byte // waiting for the socket
	corks       int      // who collects frames in the outbox, to hand them over together
	one         [1][]byte
	buffered    int  // frames that the socket could not write at once
	refused     bool // the socket was closed when frames came
	stuckSince  time.Time
	nextPing    time.Time
	lastTouched time.Time
}

// write hands a frame to the socket, or queues it. The caller holds the lock.
func (s *Session) write(frame []byte, droppable bool) {
	switch {
	case s.state == stateClosed:
	case len(s.outbox) == 0 && s.buffered < socketFrames && s.corks == 0:
		s.one[0] = frame
		s.hand(s.one[:])
		s.one[0] = nil
	case len(s.outbox) >= maxOutbox && droppable:
	default:
		s.outbox = append(s.outbox, frame)
	}
}

// hand gives frames to the socket. The caller holds the lock.
func (s *Session) hand(frames [][]byte) (ok bool) {
	waits, ok := s.socket.Push(frames)
	if !ok && !s.refused {
		s.refused = true
		s.tellRange(trace.PushFailed, 0, s.acked, s.sent, 0)
	}
	if waits > 0 && s.buffered == 0 {
		s.stuckSince = s.delivery.clock()
	}
	s.buffered += waits
	return ok
}

// cork collects what is written from now on; uncork hands it over in few system calls. The
// caller holds the lock.
func (s *Session) cork() { s.corks++ }

func (s *Session) uncork() {
	s.corks--
	s.drain()
}

// drain hands over what waits, as far as the socket has room. The caller holds the lock.
func (s *Session) drain() {
	for len(s.outbox) > 0 && s.buffered < socketFrames && s.corks == 0 && s.state != stateClosed {
		n := min(len(s.outbox), socketFrames-s.buffered)
		ok := s.hand(s.outbox[:n])
		clear(s.outbox[:n])
		s.outbox = s.outbox[n:]
		if !ok {
			return
		}
	}
	if len(s.outbox) == 0 {
		s.outbox = nil // give the memory of a burst back
	}
}

// Written is called by the socket after it has written a frame that had to wait.
func (s *Session) Written() {
	if s.written() {
		s.delivery.wake(s)
	}
}

// written answers whether the pump has to look at the session.
func (s *Session) written() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buffered--
	s.stuckSince = s.delivery.clock()
	s.drain()
	return s.resume()
}

// offer takes one entry of the mailbox. The caller holds the lock.
func (s *Session) offer(seq int64, message []byte) {
	s.head = max(s.head, seq)
	if s.state != stateLive || seq <= s.sent {
		return
	}
	if seq > s.sent+1 { // its predecessor is on its way from another batch or node, or lost
		if s.stash == nil {
			s.stash = map[int64][]byte{}
			s.gapSince = s.delivery.clock()
			s.delivery.gap(s)
		}
		if len(s.stash) < maxStash {
			s.stash[seq] = message
		}
		return
	}
	s.push(seq, message)
	for s.stash != nil && s.state == stateLive {
		next, here := s.stash[s.sent+1]
		if !here {
			break
		}
		delete(s.stash, s.sent+1)
		s.push(s.sent+1, next)
	}
	if len(s.stash) == 0 && s.head <= s.sent { // else there was no room for the rest: gapLoop reads it
		s.stash = nil
	}
}

// push sends the entry sent+1 and remembers it, or goes behind. The caller holds the lock.
func (s *Session) push(seq int64, message []byte) {
	if _, done := s.selective[seq]; done || seq <= s.acked {
		s.sent = seq
		return
	}
	if len(s.unacked) >= maxUnacked || len(s.outbox) >= maxOutbox {
		s.fallBehind()
		return
	}
	s.sent = seq
	s.unacked = append(s.unacked, seq)
	attempt := 1 + s.rounds
	s.write(messageFrame(seq, attempt, message), false)
	if s.delivery.spans != nil {
		s.delivery.spans.pushed(s, seq, attempt)
	}
	metrics.pushes.Inc()
	now := s.delivery.clock()
	s.tell(trace.Pushed, message, seq, attempt, s.buffered > 0)
	if evicted := s.delivery.queue.Add(s, seq, attempt, message, now); evicted != nil {
		metrics.evictions.Inc()
		evicted.evicted.Store(true)
	}
}

// fallBehind tells the client to pull. The caller holds the lock.
func (s *Session) fallBehind() {
	s.state = stateBehind
	s.resumeAt = s.head
	s.tellRange(trace.Behind, 0, s.sent, s.head, 0)
	s.stash = nil
	s.write(encodeFrame(Behind{Type: "behind", Head: s.head}), false)
}

// ack takes a committed position and single acks, and answers the pushes that they
// settle and whether the pump has to look at the session. The caller holds the lock.
func (s *Session) ack(upTo int64, single []int64) (settled []int64, pump bool) {
	if upTo > s.acked {
		s.acked = upTo
		s.rounds = 0
	}
	s.sent = max(s.sent, s.acked)
	s.head = max(s.head, s.acked)
	for _, seq := range single {
		if seq > s.acked {
			if s.selective == nil {
				s.selective = map[int64]struct{}{}
			}
			s.selective[seq] = struct{}{}
			s.rounds = 0
		}
	}
	for _, next := s.selective[s.acked+1]; next; _, next = s.selective[s.acked+1] {
		s.acked++
	}
	s.sent = max(s.sent, s.acked)
	s.head = max(s.head, s.acked)
	for seq := range s.selective {
		if seq <= s.acked {
			delete(s.selective, seq)
		}
	}
	s.unacked = slices.DeleteFunc(s.unacked, func(seq int64) bool {
		_, one := s.selective[seq]
		if one = one || seq <= s.acked; one {
			settled = append(settled, seq)
		}
		return one
	})
	for seq := range s.stash {
		if seq <= s.sent {
			delete(s.stash, seq)
		}
	}
	return settled, s.resume()
}

// resume opens a session that was behind and has caught up, once the socket has taken
// enough of what waits for it, and answers whether it did. (When the socket holds nothing, no
// Written comes to ask again: what waits then is corked.) The caller holds the lock.
func (s *Session) resume() bool {
	if s.state != stateBehind || s.acked < s.resumeAt || (s.buffered > 0 && len(s.outbox) >= maxUnacked) {
		return false
	}
	s.state = stateOpening
	s.announce = true
	return true
}

// rewind makes the pump push everything un-acked again, from the mailbox. The caller
// holds the lock.
func (s *Session) rewind() {
	for _, seq := range s.unacked {
		s.delivery.queue.Acked(s, seq)
	}
	s.unacked = nil
	s.stash = nil
	s.evicted.Store(false)
	s.sent = s.acked
	s.state = stateOpening
	s.rounds++
}
