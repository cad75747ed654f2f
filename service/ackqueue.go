package service

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"ackbox/model"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// AckQueue remembers the un-acked pushes of this node's sockets. It is an LRU: a push,
// and each push again, goes to the young end, so with one timeout for all the old end
// is also what is due next, and looking for it costs nothing when nothing is due.
// When it is full the oldest is forgotten: its session falls back on the mailbox.
type AckQueue struct {
	size int

	mu  sync.Mutex
	lru *simplelru.LRU[pushKey, *pushed]
	// recalled are the latest recalls: an un-acked push lives for seconds.
	recalled *simplelru.LRU[string, []byte]

	attempts [maxAttempts]int64 // how many entries have been pushed once, twice …; the last counts those above too

	forgotten func(pushKey, *pushed) // told of every push that had to go; under the lock. Set before use
}

// recallMemory is how many recalls are remembered.
const recallMemory = 4_096

// pushKey names an un-acked push: a mailbox entry, or with a conversation all that a
// device has not acked of a log conversation.
type pushKey struct {
	session      *Session
	conversation model.ConversationID
	seq          int64
}

// pushed is one un-acked push.
type pushed struct {
	message []byte // the message, encoded; shared by all its pushes
	attempt int    // 1 for the first push
	first   time.Time
	last    time.Time
}

// Due is a push whose ack has not come in time.
type Due struct {
	Session      *Session
	Conversation model.ConversationID // of a log conversation's push; then Seq is 0
	Seq          int64
	Attempt      int // pushes so far
	Message      []byte
}

// NewAckQueue makes a queue of at most size entries.
func NewAckQueue(size int) (*AckQueue, error) {
	q := &AckQueue{size: size, forgotten: func(pushKey, *pushed) {}}
	lru, err := simplelru.NewLRU(size, func(_ pushKey, p *pushed) { q.attempts[attemptIndex(p.attempt)]-- })
	if err != nil {
		return nil, fmt.Errorf("ack queue: %w", err)
	}
	recalled, err := simplelru.NewLRU[string, []byte](recallMemory, nil)
	if err != nil {
		return nil, fmt.Errorf("ack queue: %w", err)
	}
	q.lru, q.recalled = lru, recalled
	return q, nil
}

// Add puts a first push at the young end and answers the session whose entry had to
// go for it, or nil.
func (q *AckQueue) Add(s *Session, seq int64, attempt int, message []byte, now time.Time) (evicted *Session) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.add(pushKey{s, 0, seq}, attempt, message, now)
}

func (q *AckQueue) add(key pushKey, attempt int, message []byte, now time.Time) (evicted *Session) {
	old, there := q.lru.Peek(key)
	if there {
		q.attempts[attemptIndex(old.attempt)]--
	} else if q.lru.Len() >= q.size {
		if oldest, p, ok := q.lru.RemoveOldest(); ok {
			evicted = oldest.session
			q.forgotten(oldest, p)
		}
	}
	q.attempts[attemptIndex(attempt)]++
	q.lru.Add(key, &pushed{message: message, attempt: attempt, first: now, last: now})
	return evicted
}

// AddLog remembers a push of a log conversation. A device has one entry for each such
// conversation, which waits since its oldest un-acked push and holds the newest.
func (q *AckQueue) AddLog(s *Session, id model.ConversationID, message []byte, now time.Time) (evicted *Session) {
	q.mu.Lock()
	defer q.mu.Unlock()
	key := pushKey{s, id, 0}
	if p, waits := q.lru.Peek(key); waits {
		p.message = message
		return nil
	}
	return q.add(key, 1, message, now)
}

// AckedLog removes a log conversation's entry.
func (q *AckQueue) AckedLog(s *Session, id model.ConversationID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lru.Remove(pushKey{s, id, 0})
}

// Recall remembers that a message's content is gone: what is pushed again from now on
// is the other encoding. id is how a message's encoding begins, up to its id.
func (q *AckQueue) Recall(id string, message []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.recalled.Add(id, message)
}

// Acked removes an entry and answers when it was first pushed; ok is false when it
// was not there.
func (q *AckQueue) Acked(s *Session, seq int64) (first time.Time, ok bool) {
	if p := q.take(s, seq); p != nil {
		return p.first, true
	}
	return time.Time{}, false
}

// take removes an entry and answers it, or nil.
func (q *AckQueue) take(s *Session, seq int64) *pushed {
	q.mu.Lock()
	defer q.mu.Unlock()
	p, ok := q.lru.Peek(pushKey{s, 0, seq})
	if !ok {
		return nil
	}
	q.lru.Remove(pushKey{s, 0, seq})
	return p
}

func attemptIndex(attempt int) int { return min(max(attempt, 1), maxAttempts) - 1 }

// push is when an entry was first pushed, and how often so far.
func (q *AckQueue) push(s *Session, seq int64) (first time.Time, attempt int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p, ok := q.lru.Peek(pushKey{s, 0, seq})
	if !ok {
		return time.Time{}, 0, false
	}
	return p.first, p.attempt, true
}

// FirstPush is when an entry was first pushed; ok is false when it is not there.
func (q *AckQueue) FirstPush(s *Session, seq int64) (at time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p, ok := q.lru.Peek(pushKey{s, 0, seq})
	if !ok {
		return time.Time{}, false
	}
	return p.first, true
}

// Overdue takes from the old end, at most limit, what was last pushed timeout ago or
// earlier, oldest first. Each goes to the young end with one more attempt: the caller
// pushes it again, or removes it.
func (q *AckQueue) Overdue(now time.Time, timeout time.Duration, limit int) (list []Due) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(list) < limit {
		key, p, ok := q.lru.GetOldest()
		if !ok || now.Sub(p.last) < timeout {
			break
		}
		if key.session.acking.Load() > 0 { // its ack has arrived: not overdue, only not committed
			p.last = now
			q.lru.Get(key)
			continue
		}
		if q.recalled.Len() > 0 {
			p.message = q.withoutRecalled(p.message)
		}
		list = append(list, Due{Session: key.session, Conversation: key.conversation, Seq: key.seq, Attempt: p.attempt, Message: p.message})
		q.attempts[attemptIndex(p.attempt)]--
		p.attempt++
		q.attempts[attemptIndex(p.attempt)]++
		p.last = now
		q.lru.Get(key) // to the young end
	}
	return list
}

// withoutRecalled is a message as it is to be pushed again: without its content, or that of its
// quote, when they were recalled.
func (q *AckQueue) withoutRecalled(message []byte) []byte {
	if now, gone := q.recalled.Peek(messagePrefix(message)); gone {
		return now
	}
	return model.EmptyQuote(message, q.recalled.Contains)
}

// Len is how many pushes wait for their ack.
func (q *AckQueue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lru.Len()
}

// attemptsOf is how often an entry was pushed; 0 when it is not there.
func (q *AckQueue) attemptsOf(s *Session, seq int64) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p, there := q.lru.Peek(pushKey{s, 0, seq}); there {
		return p.attempt
	}
	return 0
}

// AckQueueView is what an ack queue holds.
type AckQueueView struct {
	Entries        int
	Capacity       int
	OldestPushedAt model.Millis // of the entry that is due next, when it was first pushed; 0: there is none
	ByAttempt      []int64      // entries that were pushed once, twice …; beyond ten times, the last
}

// View is what the queue holds now, in constant time.
func (q *AckQueue) View() AckQueueView {
	q.mu.Lock()
	defer q.mu.Unlock()
	v := AckQueueView{Entries: q.lru.Len(), Capacity: q.size, ByAttempt: slices.Clone(q.attempts[:])}
	if _, p, there := q.lru.GetOldest(); there {
		v.OldestPushedAt = model.MillisOf(p.first)
	}
	return v
}
