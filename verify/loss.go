package verify

import (
	"maps"
	"slices"
	"time"
)

// closedAfterLoss is how long after a loss of the store a socket from before may stay open: until the database runs again,
// the next sweep, and the five seconds over which the clients are spread, on a busy machine.
const closedAfterLoss = 30 * time.Second

// loss is a store that was put back to what it held at a moment between kept and copied; at is when it was dead.
type loss struct{ kept, copied, at time.Duration }

// mayUndo says whether something that was asked for and told at these times may be gone: it was told after the copy began,
// and asked of the store that was lost.
func (l loss) mayUndo(asked, told time.Duration) bool { return told > l.kept && asked < l.at }

// undoes says whether something is gone for certain: it began after the copy was made, and ended in the store that was lost.
func (l loss) undoes(began, ended time.Duration) bool { return began > l.copied && ended < l.at }

// doubtful says whether an answer may have been undone.
func (x *index) doubtful(t *try) bool {
	return slices.ContainsFunc(x.losses, func(l loss) bool { return l.mayUndo(t.invoke.At, t.end.At) })
}

// replaced says whether an answer may be of another message than an earlier one with its key: that one may have been lost
// before this one was given.
func (x *index) replaced(earlier, later *try) bool {
	for _, l := range x.losses {
		if l.mayUndo(earlier.invoke.At, earlier.end.At) && later.end.At > l.at {
			return true
		}
	}
	return false
}

// latest is the first answer with the message that the key has been in the end, and whether that may be gone too.
func (x *index) latest(k *keyed) (first *try, doubtful bool) {
	for _, t := range k.answers() {
		switch {
		case first == nil || t.answer().Message != first.answer().Message && x.replaced(first, t):
			first, doubtful = t, x.doubtful(t)
		case t.answer().Message == first.answer().Message:
			doubtful = doubtful && x.doubtful(t)
		}
	}
	return first, doubtful
}

// repeated says whether a try of the key that never got an answer may have been carried out after a loss.
func (x *index) repeated(k *keyed) bool {
	for _, t := range k.tries {
		if t.end == nil || t.end.Phase == Unknown && len(x.losses) > 0 && t.end.At > x.losses[0].at {
			return true
		}
	}
	return false
}

// spans says whether a call was under way when a store was lost: which of the two it was answered from nobody can say.
func (x *index) spans(asked, told time.Duration) bool {
	for _, l := range x.losses {
		if asked < l.at && told > l.at {
			return true
		}
	}
	return false
}

// mayUndo says whether a loss may have undone what an event tells.
func (x *index) mayUndo(e *Event) bool {
	return slices.ContainsFunc(x.losses, func(l loss) bool { return l.mayUndo(x.asked(e), e.At) })
}

// surviving goes through the events before the n-th, which is a loss, without those that it and the losses before have
// undone for certain.
func (x *index) surviving(n int, do func(*Event)) {
	now := x.run.Events[n].At
	for i := range x.run.Events[:n] {
		e := &x.run.Events[i]
		began, ended := e.At, e.At
		if e.Phase == Invoke {
			ended = now + 1 // it is under way, as far as is known
			if end := x.ends[e.Call]; end != nil {
				ended = end.At
			}
		} else if e.Call != 0 {
			began = x.asked(e)
		}
		if !slices.ContainsFunc(x.losses, func(l loss) bool { return l.at <= now && l.undoes(began, ended) }) {
			do(e)
		}
	}
}

// tally is the best figure that was told of each thing, which a loss takes back to what they were when the copy began.
type tally[K comparable] struct {
	best map[K]told

	losses []loss
	kept   map[K]told // nil before the next loss's copy began
}

func newTally[K comparable](losses []loss) tally[K] {
	return tally[K]{best: map[K]told{}, losses: losses}
}

// pass goes on to a time, and says whether there was a loss on the way.
func (f *tally[K]) pass(now time.Duration) (lost bool) {
	for len(f.losses) > 0 && now >= f.losses[0].kept {
		if f.kept == nil {
			f.kept = maps.Clone(f.best)
		}
		if now < f.losses[0].at {
			return lost
		}
		f.best, f.kept, f.losses, lost = f.kept, nil, f.losses[1:], true
	}
	return lost
}
