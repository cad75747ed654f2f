package api

import (
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"ackbox/model"
)

// maxBuckets bounds how many callers a limit remembers: some 150 bytes each. Whoever
// is forgotten begins with a full bucket.
const maxBuckets = 16384

// limits are this node's own; nodes do not add up.
type limits struct {
	address *limit[string]       // register, login and refresh, by address
	login   *limit[string]       // logins, by username, so that many addresses cannot guess at one
	user    *limit[model.UserID] // everything else, by account
}

func newLimits(on bool) *limits {
	if !on {
		return &limits{}
	}
	return &limits{
		address: newLimit[string](1, 30),
		login:   newLimit[string](rate.Every(5*time.Second), 10),
		user:    newLimit[model.UserID](200, 400),
	}
}

// limit is a token bucket a key; nil limits nothing.
type limit[K comparable] struct {
	buckets *lru.Cache[K, *rate.Limiter]
	refill  rate.Limit
	burst   int
}

func newLimit[K comparable](refill rate.Limit, burst int) *limit[K] {
	buckets, err := lru.New[K, *rate.Limiter](maxBuckets)
	if err != nil {
		panic(err) // only a size below 1
	}
	return &limit[K]{buckets: buckets, refill: refill, burst: burst}
}

// take takes a token from a key's bucket, or says when there will be one:
// CodeRateLimited.
func (l *limit[K]) take(key K) error {
	if l == nil {
		return nil
	}
	bucket, known := l.buckets.Get(key)
	if !known {
		bucket = rate.NewLimiter(l.refill, l.burst)
		if other, lost, _ := l.buckets.PeekOrAdd(key, bucket); lost {
			bucket = other
		}
	}
	r := bucket.Reserve()
	wait := r.Delay()
	if wait == 0 {
		return nil
	}
	r.Cancel()
	return &model.Error{Code: model.CodeRateLimited, Detail: "too many requests", RetryAfter: wait}
}

// network is what counts as one address: an IPv4 address or an IPv6 /64, which is
// what one customer gets.
func network(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Unmap().Is4() {
		return ip
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return ip
	}
	return prefix.String()
}
