package api

import (
	"context"
	"net/netip"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"ackbox/model"
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

// takePublic takes what a public call costs: first of its address, so that an address that
// has had its share takes nothing of an account's. The account is what the caller says, and is
// counted alike whether it exists or not.
func (a *API) takePublic(ctx context.Context, byAddress, byAccount service.Limit, account string) error {
	ip, known := ctx.Value(addressKey{}).(string)
	if !known {
		return model.NewError(model.CodeInternal, "a public call without its address")
	}
	asks := []service.Ask{{Limit: byAddress, Key: network(ip)}}
	if byAccount != "" {
		asks = append(asks, service.Ask{Limit: byAccount, Key: service.HashedKey(strings.ToLower(account))})
	}
	return a.deps.Limits.Take(ctx, asks...)
}

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
