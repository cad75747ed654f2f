package service

import (
	"fmt"
	"sync"
	"time"

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
}

type pushKey struct {
	session *Session
	seq     int64
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
	Session *Session
	Seq     int64
	Attempt int // pushes so far
	Message []byte
}

// NewAckQueue makes a queue of at most size entries.
func NewAckQueue(size int) (*AckQueue, error) {
	lru, err := simplelru.NewLRU[pushKey, *pushed](size, nil)
	if err != nil {
		return nil, fmt.Errorf("ack queue: %w", err)
	}
	return &AckQueue{size: size, lru: lru}, nil
}

// Add puts a first push at the young end and answers the session whose entry had to
// go for it, or nil.
func (q *AckQueue) Add(s *Session, seq int64, attempt int, message []byte, now time.Time) (evicted *Session) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lru.Len() >= q.size && !q.lru.Contains(pushKey{s, seq}) {
		if key, _, ok := q.lru.RemoveOldest(); ok {
			evicted = key.session
		}
	}
	q.lru.Add(pushKey{s, seq}, &pushed{message: message, attempt: attempt, first: now, last: now})
	return evicted
}

// Acked removes an entry and answers when it was first pushed; ok is false when it
// was not there.
func (q *AckQueue) Acked(s *Session, seq int64) (first time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p, ok := q.lru.Peek(pushKey{s, seq})
	if !ok {
		return time.Time{}, false
	}
	q.lru.Remove(pushKey{s, seq})
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
		list = append(list, Due{Session: key.session, Seq: key.seq, Attempt: p.attempt, Message: p.message})
		p.attempt++
		p.last = now
		q.lru.Get(key) // to the young end
	}
	return list
}

// Len is how many pushes wait for their ack.
func (q *AckQueue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lru.Len()
}
