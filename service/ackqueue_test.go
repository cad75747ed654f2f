package service

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ackbox/model"
)

// modelPush is an entry of the plain list that AckQueue is compared with: the first
// is the oldest.
type modelPush struct {
	session     *Session
	seq         int64
	attempt     int
	first, last time.Time
}

// TestAckQueueModel drives an AckQueue and a list side by side.
func TestAckQueueModel(t *testing.T) {
	t.Parallel()
	for range 5 {
		rapid.Check(t, ackQueueAgainstAList)
	}
}

func ackQueueAgainstAList(t *rapid.T) {
	size := rapid.IntRange(1, 12).Draw(t, "size")
	queue, err := NewAckQueue(size)
	if err != nil {
		t.Fatal(err)
	}
	sessions := []*Session{{}, {}, {}}
	var list []modelPush
	clock := newHandClock()
	const timeout = 3 * time.Second
	find := func(s *Session, seq int64) int {
		return slices.IndexFunc(list, func(p modelPush) bool { return p.session == s && p.seq == seq })
	}
	draw := func(t *rapid.T) (*Session, int64) {
		return sessions[rapid.IntRange(0, len(sessions)-1).Draw(t, "session")], rapid.Int64Range(1, 9).Draw(t, "seq")
	}
	t.Repeat(map[string]func(*rapid.T){
		"add": func(t *rapid.T) {
			s, seq := draw(t)
			attempt := rapid.IntRange(1, 3).Draw(t, "attempt")
			var want *Session
			if i := find(s, seq); i >= 0 {
				list = slices.Delete(list, i, i+1)
			} else if len(list) == size { // the oldest goes
				want = list[0].session
				list = list[1:]
			}
			list = append(list, modelPush{s, seq, attempt, clock.now(), clock.now()})
			if evicted := queue.Add(s, seq, attempt, []byte{byte(seq)}, clock.now()); evicted != want {
				t.Fatalf("Add evicted of session %p, want %p", evicted, want)
			}
		},
		"ack": func(t *rapid.T) {
			s, seq := draw(t)
			i := find(s, seq)
			first, ok := queue.Acked(s, seq)
			if ok != (i >= 0) {
				t.Fatalf("Acked %d: there %t, want %t", seq, ok, i >= 0)
			}
			if ok {
				if !first.Equal(list[i].first) {
					t.Fatalf("first pushed at %v, want %v", first, list[i].first)
				}
				list = slices.Delete(list, i, i+1)
			}
		},
		"overdue": func(t *rapid.T) {
			clock.step(time.Duration(rapid.Int64Range(0, 4_000).Draw(t, "ms")) * time.Millisecond)
			limit := rapid.IntRange(1, 5).Draw(t, "limit")
			var want []modelPush
			for len(want) < limit && len(list) > 0 && clock.now().Sub(list[0].last) >= timeout {
				p := list[0]
				want = append(want, p)
				p.attempt++
				p.last = clock.now()
				list = append(list[1:], p) // pushed again: young
			}
			got := queue.Overdue(clock.now(), timeout, limit)
			if len(got) != len(want) {
				t.Fatalf("%d are due, want %d", len(got), len(want))
			}
			for i, d := range got {
				if d.Session != want[i].session || d.Seq != want[i].seq || d.Attempt != want[i].attempt || d.Message[0] != byte(d.Seq) {
					t.Fatalf("due at place %d: %+v, want %+v", i, d, want[i])
				}
			}
		},
		"": func(t *rapid.T) {
			if queue.Len() != len(list) || queue.Len() > size {
				t.Fatalf("%d entries, want %d, at most %d", queue.Len(), len(list), size)
			}
			view, attempts := queue.View(), make([]int64, maxAttempts)
			for _, p := range list {
				attempts[min(p.attempt, maxAttempts)-1]++
			}
			if !slices.Equal(view.ByAttempt, attempts) || view.Entries != len(list) || view.Capacity != size {
				t.Fatalf("the view %+v of %v", view, attempts)
			}
			if len(list) > 0 {
				if got := queue.attemptsOf(list[0].session, list[0].seq); got != list[0].attempt || view.OldestPushedAt != model.MillisOf(list[0].first) {
					t.Fatalf("the oldest was pushed %d times since %v, want %+v", got, view.OldestPushedAt, list[0])
				}
			}
		},
	})
}

func TestAckQueueNeedsASize(t *testing.T) {
	t.Parallel()
	if _, err := NewAckQueue(0); err == nil {
		t.Error("a queue of no entries was made")
	}
}
