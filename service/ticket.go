package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"ackbox/model"
)

// TicketTTL is how long a WebSocket ticket waits to be used.
const TicketTTL = 30 * time.Second

// ticketTimeout bounds one word with Redis.
const ticketTimeout = 2 * time.Second

// Ticket is a single-use stand-in for an access token, for browsers, which cannot
// set headers on a WebSocket.
type Ticket struct {
	Value     string
	ExpiresAt time.Time
}

// Ticket makes a ticket for the bearer of these claims. Redis away is CodeUnavailable.
func (a *Auth) Ticket(ctx context.Context, c Claims) (Ticket, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return Ticket{}, fmt.Errorf("ticket: %w", err)
	}
	value, hash := newSecret()
	expires := a.now().Add(TicketTTL).UTC()
	err = a.tickets(ctx, func(ctx context.Context) error { return a.redis.Set(ctx, a.ticketKey(hash), text, TicketTTL).Err() })
	if err != nil {
		return Ticket{}, redisAway(err)
	}
	return Ticket{Value: value, ExpiresAt: expires}, nil
}

// RedeemTicket uses a ticket up and gives the claims it was made for. An unknown,
// used or old ticket is CodeUnauthenticated; Redis away is CodeUnavailable.
func (a *Auth) RedeemTicket(ctx context.Context, value string) (Claims, error) {
	bad := model.NewError(model.CodeUnauthenticated, "the ticket is unknown, used, or older than %s", TicketTTL)
	if len(value) > maxToken {
		return Claims{}, bad
	}
	var text []byte
	err := a.tickets(ctx, func(ctx context.Context) (err error) {
		text, err = a.redis.GetDel(ctx, a.ticketKey(hashSecret(value))).Bytes()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return Claims{}, bad
	}
	if err != nil {
		return Claims{}, redisAway(err)
	}
	var c Claims
	if err := json.Unmarshal(text, &c); err != nil {
		return Claims{}, fmt.Errorf("ticket: %w", err)
	}
	if !c.ExpiresAt.After(a.now()) {
		return Claims{}, model.NewError(model.CodeTokenExpired, "the ticket's access token has expired")
	}
	if err := a.revocations.check(c); err != nil {
		return Claims{}, err
	}
	return c, nil
}

// tickets asks Redis, unless it has just failed: a connect holds one of few places meanwhile.
func (a *Auth) tickets(ctx context.Context, ask func(context.Context) error) error {
	if !a.ticketRest.ask() {
		return errRedisRests
	}
	asked, cancel := context.WithTimeout(ctx, ticketTimeout)
	defer cancel()
	err := ask(asked)
	if ctx.Err() == nil { // or it is the caller who has gone
		a.ticketRest.answered(err == nil || errors.Is(err, redis.Nil))
	}
	return err
}

func (a *Auth) ticketKey(hash string) string { return "ackbox:" + a.installation + ":ticket:" + hash }

func redisAway(cause error) error {
	return &model.Error{Code: model.CodeUnavailable, Detail: "tickets are not available now", RetryAfter: time.Second, Cause: cause}
}
