package api

import (
	"context"
	"net/netip"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"ackbox/service"
)

// limitOf is the limit of a call beside LimitRequest, by its operation.
var limitOf = map[string]service.Limit{
	"send-message": service.LimitSend,
	"create-group": service.LimitGroup,
	"make-ticket":  service.LimitTicket,

	"change-password": service.LimitLogin, // of the user: guesses with a stolen token
	"search-users":    service.LimitSearch,
	"typing":          service.LimitTyping,
	"upload-file":     service.LimitFile,

	"trace-message": service.LimitTrace,

	// Each of these writes a message to all members.
	"update-group":  service.LimitSend,
	"add-members":   service.LimitSend,
	"remove-member": service.LimitSend,
	"set-role":      service.LimitSend,
	"mute-member":   service.LimitSend,
}

// takeOf takes what a call of a user costs, all at once.
func (a *API) takeOf(ctx huma.Context, caller service.Claims) error {
	asks := make([]service.Ask, 1, 3)
	asks[0] = service.AskUser(service.LimitRequest, caller.UserID)
	operation := ctx.Operation().OperationID
	if limit, limited := limitOf[operation]; limited {
		asks = append(asks, service.AskUser(limit, caller.UserID))
	}
	if operation == "send-message" && a.deps.Limits != nil {
		asks = append(asks, service.Ask{Limit: service.LimitSendAddress, Key: network(humagin.Unwrap(ctx).ClientIP())})
	}
	return a.deps.Limits.Take(ctx.Context(), asks...)
}

type addressKey struct{}

// addressed tells the handlers of public calls from where they are called.
func (a *API) addressed(ctx huma.Context, next func(huma.Context)) {
	next(huma.WithValue(ctx, addressKey{}, humagin.Unwrap(ctx).ClientIP()))
}

// networkFrom is from which network a public call comes.
func networkFrom(ctx context.Context) string {
	ip, known := ctx.Value(addressKey{}).(string)
	if !known {
		panic("api: a call that is not addressed asked for its address")
	}
	return network(ip)
}

// takePublic takes what a public call costs: first of its address, so that an address that
// has had its share takes nothing of an account's. The account is what the caller says, and is
// counted alike whether it exists or not.
func (a *API) takePublic(ctx context.Context, byAddress, byAccount service.Limit, account string) error {
	asks := []service.Ask{{Limit: byAddress, Key: networkFrom(ctx)}}
	if byAccount != "" {
		asks = append(asks, service.Ask{Limit: byAccount, Key: accountKey(account)})
	}
	return a.deps.Limits.Take(ctx, asks...)
}

// takeLogin takes what a login costs: of its address, then of the account. Guesses from a network from which the account
// has logged in lately count apart for each such network, so that nobody elsewhere keeps its owner out by guessing wrong.
func (a *API) takeLogin(ctx context.Context, username string) error {
	from := networkFrom(ctx)
	if err := a.deps.Limits.Take(ctx, service.Ask{Limit: service.LimitLoginAddress, Key: from}); err != nil || a.deps.Limits == nil {
		return err
	}
	known, err := a.deps.Auth.LoggedInFrom(ctx, username, from)
	if err != nil {
		return err
	}
	key := accountKey(username)
	if known {
		key += "." + from // which no accountKey has in it
	}
	return a.deps.Limits.Take(ctx, service.Ask{Limit: service.LimitLogin, Key: key})
}

func accountKey(username string) string { return service.HashedKey(strings.ToLower(username)) }

// network is the key of what counts as one address: an IPv4 address or an IPv6 /64, which
// is what one customer gets.
func network(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return service.HashedKey(ip)
	}
	if addr = addr.Unmap(); addr.Is4() { // however a proxy has written it
		return service.HashedKey(addr.String())
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return service.HashedKey(ip)
	}
	return service.HashedKey(prefix.String())
}
