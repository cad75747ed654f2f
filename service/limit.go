package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/redis/go-redis/v9"

	"ackbox/model"
)

// Limit names what is limited, as a 429 does. Each counts by one thing.
type Limit string

// What is limited.
const (
	LimitRequest          Limit = "request"           // every call with a token, by user
	LimitSend             Limit = "send"              // by user
	LimitSendAddress      Limit = "send_address"      // by address
	LimitSendConversation Limit = "send_conversation" // by conversation, members only
	LimitGroup            Limit = "group"             // groups made, by user
	LimitTicket           Limit = "ticket"            // by user
	LimitSearch           Limit = "search"            // by user
	LimitTyping           Limit = "typing"            // by user
	LimitFile             Limit = "file"              // uploads, by user
	LimitTrace            Limit = "trace"             // traces of own messages, by user
	LimitLogin            Limit = "login"             // by account, whether it exists or not
	LimitLoginAddress     Limit = "login_address"     // by address
	LimitRegister         Limit = "register"          // by account
	LimitRegisterAddress  Limit = "register_address"  // by address
	LimitRefreshAddress   Limit = "refresh_address"   // by address
)

// limitWords is how a refusal speaks of a limit, and how it is counted. An exact one asks
// Redis before it answers: guesses at passwords count on all nodes from the first. The
// others ask this node only and tell the rest afterwards, so that a send waits for nobody.
var limitWords = map[Limit]struct {
	what, whose string
	exact       bool
}{
	LimitRequest: {"requests", "user", false}, LimitSend: {"sends", "user", false}, LimitSendAddress: {"sends", "address", false},
	LimitSendConversation: {"sends", "conversation", false}, LimitGroup: {"new groups", "user", true}, LimitTicket: {"tickets", "user", true},
	LimitSearch: {"searches", "user", false}, LimitTyping: {"typing calls", "user", false}, LimitFile: {"uploads", "user", true}, LimitTrace: {"traces", "user", false},
	LimitLogin: {"logins", "account", true}, LimitLoginAddress: {"logins", "address", true},
	LimitRegister: {"registrations", "account", true}, LimitRegisterAddress: {"registrations", "address", true}, LimitRefreshAddress: {"refreshes", "address", false},
}

// Rate allows N at once, and after that N in Per, evenly.
type Rate struct {
	N   int
	Per time.Duration
}

// LimitOptions is what is limited, and how nodes share it.
type LimitOptions struct {
	Rates        map[Limit][]Rate      // layered: all rates of a limit must agree; none: not limited
	Redis        redis.UniversalClient // nil: this node is alone
	Installation string                // names this deployment's keys in Redis
	Clock        func() time.Time      // nil: time.Now
	Patience     time.Duration         // for Redis to answer; 0: limitPatience
}

// Limits bounds how often something may be asked. Redis adds the nodes up; without it, or
// while it is slow, each node counts for itself. A nil *Limits limits nothing.
type Limits struct {
	limits map[Limit]*limited
	clock  func() time.Time
	start  time.Time
	shared *sharedLimits // nil without Redis
}

// limited is one limit with the buckets of those who were seen lately.
type limited struct {
	name    Limit
	rates   []Rate
	what    string
	whose   string
	exact   bool
	part    int // takes after which the other nodes are told
	buckets *lru.Cache[string, *bucket]
}

// maxBuckets bounds how many callers a limit remembers here: some 200 bytes each. Who is
// forgotten begins with a full bucket, or with what Redis knows.
const maxBuckets = 16384

// tellParts is how many times the others are told while a bucket empties: nodes together
// allow at most one part each beyond a limit.
const tellParts = 8

// bucket is what one caller has taken of one limit.
type bucket struct {
	mu      sync.Mutex
	fullAt  []time.Duration // by rate: when all is to be had again, since Limits.start
	untold  int             // taken, and Redis not told yet
	telling bool
}

// NewLimits makes the limits. Stop ends what it starts.
func NewLimits(o LimitOptions) (*Limits, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	l := &Limits{limits: map[Limit]*limited{}, clock: o.Clock, start: o.Clock()}
	for name, rates := range o.Rates {
		if len(rates) == 0 {
			continue
		}
		words, known := limitWords[name]
		if !known {
			return nil, fmt.Errorf("limits: %q is not known", name)
		}
		least := rates[0].N
		for _, r := range rates {
			if r.N < 1 || r.Per <= 0 {
				return nil, fmt.Errorf("limits: %s: %d per %s", name, r.N, r.Per)
			}
			least = min(least, r.N)
		}
		buckets, err := lru.New[string, *bucket](maxBuckets)
		if err != nil {
			return nil, fmt.Errorf("limits: %w", err)
		}
		l.limits[name] = &limited{name, rates, words.what, words.whose, words.exact, max(1, least/tellParts), buckets}
	}
	if o.Redis != nil {
		l.shared = newSharedLimits(o.Redis, o.Installation, o.Patience, l.now)
	}
	return l, nil
}

// Stop ends the conversation with Redis.
func (l *Limits) Stop() {
	if l != nil && l.shared != nil {
		l.shared.stop()
	}
}

func (l *Limits) now() time.Duration { return l.clock().Sub(l.start) }

// Ask is one limit and whose: an id, or HashedKey of what people wrote.
type Ask struct {
	Limit Limit
	Key   string
}

// AskUser asks for a user.
func AskUser(limit Limit, user model.UserID) Ask {
	return Ask{limit, strconv.FormatInt(int64(user), 10)}
}

// HashedKey is a key that does not show what it is made of.
func HashedKey(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:12])
}

// Take takes one of each limit, in this order, or answers CodeRateLimited with the limit
// that refused and when to come again; what was taken before the refusal stays taken. There is
// at most one round trip to Redis, none for limits that are not exact, and none while it
// is away.
func (l *Limits) Take(ctx context.Context, asks ...Ask) error {
	if l == nil {
		return nil
	}
	now := l.now()
	var exact []*question
	for _, ask := range asks {
		limit := l.limits[ask.Limit]
		if limit == nil {
			continue
		}
		b := limit.bucket(ask.Key)
		b.mu.Lock()
		rate, wait := b.take(limit.rates, now)
		if wait > 0 {
			b.mu.Unlock()
			return limit.refusal(rate, wait)
		}
		tell := false
		if l.shared != nil && !limit.exact {
			b.untold++
			tell = !b.telling && b.untold >= limit.part
			b.telling = b.telling || tell
		}
		b.mu.Unlock()
		if l.shared == nil || (!limit.exact && !tell) {
			continue
		}
		q := &question{limit: limit, bucket: b, key: ask.Key, refused: -1, done: make(chan struct{})}
		if limit.exact {
			exact = append(exact, q)
		} else {
			l.shared.tell(q)
		}
	}
	if len(exact) == 0 || !l.shared.ask(ctx, exact) {
		return nil
	}
	for _, q := range exact {
		if q.refused >= 0 {
			return q.limit.refusal(q.limit.rates[q.refused], q.wait)
		}
	}
	return nil
}

func (l *limited) bucket(key string) *bucket {
	b, known := l.buckets.Get(key)
	if !known {
		b = &bucket{fullAt: make([]time.Duration, len(l.rates))}
		if other, lost, _ := l.buckets.PeekOrAdd(key, b); lost {
			b = other
		}
	}
	return b
}

// take takes one of every rate, or of none: then it says which refused and for how long.
// (This is the generic cell rate algorithm, as redis_rate has it in Redis.)
func (b *bucket) take(rates []Rate, now time.Duration) (refused Rate, wait time.Duration) {
	idle := true
	for i, r := range rates {
		full := max(b.fullAt[i], now)
		idle = idle && full == now
		if w := full + r.Per/time.Duration(r.N) - r.Per - now; w > wait {
			refused, wait = r, w
		}
	}
	if wait > 0 {
		return refused, wait
	}
	if idle {
		b.untold = 0 // what was taken before does not count any more
	}
	for i, r := range rates {
		b.fullAt[i] = max(b.fullAt[i], now) + r.Per/time.Duration(r.N)
	}
	return refused, 0
}

func (l *limited) refusal(r Rate, wait time.Duration) error {
	metrics.rateLimited.WithLabelValues(string(l.name)).Inc()
	return &model.Error{
		Code: model.CodeRateLimited, Limit: string(l.name), RetryAfter: wait,
		Detail: fmt.Sprintf("%d %s per %s for this %s", r.N, l.what, period(r.Per), l.whose),
	}
}

// period is a duration in one unit.
func period(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if d%unit.length == 0 {
			return strconv.FormatInt(int64(d/unit.length), 10) + " " + unit.name
		}
	}
	return d.String()
}
