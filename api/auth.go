package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"ackbox/model"
	"ackbox/service"
)

// What a call needs, as an Operation's Security says it: an access token, one of an
// admin, or nothing.
var (
	bearer = []map[string][]string{{"bearer": {}}}
	admin  = []map[string][]string{{"bearer": {string(model.RoleAdmin)}}}
	public = []map[string][]string{{}}
)

type callerKey struct{}

// CallerFrom is who calls, in the context of a call that is not public.
func CallerFrom(ctx context.Context) service.Claims {
	c, known := ctx.Value(callerKey{}).(service.Claims)
	if !known {
		panic("api: a public call asked for its caller")
	}
	return c
}

// authorised lets a call pass that has what its Security asks for; a call that asks
// for nothing in particular needs an access token.
func (a *API) authorised(ctx huma.Context, next func(huma.Context)) {
	security := ctx.Operation().Security
	if len(security) == 1 && len(security[0]) == 0 {
		next(ctx)
		return
	}
	token, cookie := ctx.Header("Authorization"), false
	if token == "" && isAdminPath(ctx.Operation().Path) {
		token, cookie = a.cookieOf(ctx)
	}
	caller, err := a.caller(token)
	if err == nil && cookie {
		err = sameOrigin(ctx)
	}
	if err == nil {
		err = a.takeOf(ctx, caller)
	}
	if err == nil {
		err = allowed(caller, security)
	}
	if err == nil && cookie {
		err = a.renewCookie(ctx, &caller)
	}
	if err != nil {
		if cookie {
			a.dropCookie(ctx, err)
		}
		a.refuse(ctx, err)
		return
	}
	next(huma.WithValue(ctx, callerKey{}, caller))
}

func allowed(caller service.Claims, security []map[string][]string) error {
	for _, requirement := range security {
		for _, role := range requirement["bearer"] {
			if string(caller.Role) != role {
				return model.NewError(model.CodeForbidden, "this needs the role %s", role)
			}
		}
	}
	return nil
}

// caller reads an Authorization header.
func (a *API) caller(header string) (service.Claims, error) {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return service.Claims{}, model.NewError(model.CodeUnauthenticated, "this needs a header Authorization: Bearer <access token>")
	}
	return a.deps.Auth.VerifyAccess(strings.TrimSpace(token))
}

// bearerOf is for handlers outside of huma: who calls, by header.
func (a *API) bearerOf(c *gin.Context) (service.Claims, error) {
	return a.caller(c.GetHeader("Authorization"))
}

// Registration asks for an account.
type Registration struct {
	Username    string `json:"username" minLength:"3" maxLength:"32" pattern:"^[A-Za-z0-9._-]+$" patternDescription:"letters of ASCII, digits and . _ -" doc:"Folded to lower case" example:"ada"`
	Password    string `json:"password" minLength:"10" maxLength:"128" format:"password" writeOnly:"true"`
	DisplayName string `json:"display_name,omitempty" minLength:"1" maxLength:"64" doc:"Default: the username" example:"Ada"`
}

// Login asks for tokens.
type Login struct {
	Username string `json:"username" minLength:"1" maxLength:"128" example:"ada"`
	Password string `json:"password" minLength:"1" maxLength:"128" format:"password" writeOnly:"true"`
}

// NewPassword replaces a password.
type NewPassword struct {
	Password    string `json:"password" minLength:"1" maxLength:"128" format:"password" writeOnly:"true" doc:"The one until now"`
	NewPassword string `json:"new_password" minLength:"10" maxLength:"128" format:"password" writeOnly:"true"`
}

// Refresh carries a refresh token.
type Refresh struct {
	RefreshToken string `json:"refresh_token" minLength:"1" maxLength:"128" writeOnly:"true"`
}

// Grant is what register, login and refresh answer.
type Grant struct {
	User         User         `json:"user"`
	AccessToken  string       `json:"access_token" doc:"For the header Authorization: Bearer"`
	RefreshToken string       `json:"refresh_token" doc:"Works once"`
	ExpiresAt    model.Millis `json:"expires_at" doc:"When the access token ends"`
}

// Ticket stands in for an access token when a WebSocket is opened.
type Ticket struct {
	Ticket    string       `json:"ticket"`
	ExpiresAt model.Millis `json:"expires_at"`
}

type (
	registerInput struct{ Body Registration }
	loginInput    struct{ Body Login }
	refreshInput  struct{ Body Refresh }
	passwordInput struct{ Body NewPassword }
	grantOutput   struct{ Body Grant }
	ticketOutput  struct{ Body Ticket }
	none          struct{}
)

func (a *API) registerAuth(h huma.API) {
	addressed := huma.Middlewares{a.addressed}
	route(h, huma.Operation{
		OperationID: "register", Method: http.MethodPost, Path: "/v1/auth/register", Tags: []string{"auth"}, Security: public, Middlewares: addressed,
		Summary: "Make an account", DefaultStatus: http.StatusCreated,
	}, func(ctx context.Context, in *registerInput) (*grantOutput, error) {
		if err := a.takePublic(ctx, service.LimitRegisterAddress, service.LimitRegister, in.Body.Username); err != nil {
			return nil, err
		}
		return grantOf(a.deps.Auth.Register(ctx, service.Registration{Username: in.Body.Username, Password: in.Body.Password, DisplayName: in.Body.DisplayName, From: networkFrom(ctx)}))
	})
	route(h, huma.Operation{
		OperationID: "login", Method: http.MethodPost, Path: "/v1/auth/login", Tags: []string{"auth"}, Security: public, Middlewares: addressed,
		Summary: "Log in",
	}, func(ctx context.Context, in *loginInput) (*grantOutput, error) {
		if err := a.takeLogin(ctx, in.Body.Username); err != nil {
			return nil, err
		}
		return grantOf(a.deps.Auth.Login(ctx, in.Body.Username, in.Body.Password, networkFrom(ctx)))
	})
	route(h, huma.Operation{
		OperationID: "refresh", Method: http.MethodPost, Path: "/v1/auth/refresh", Tags: []string{"auth"}, Security: public, Middlewares: addressed,
		Summary: "Get the next tokens", Description: "A refresh token works once; its second use ends the whole session.",
	}, func(ctx context.Context, in *refreshInput) (*grantOutput, error) {
		if err := a.takePublic(ctx, service.LimitRefreshAddress, "", ""); err != nil {
			return nil, err
		}
		return grantOf(a.deps.Auth.Refresh(ctx, in.Body.RefreshToken))
	})
	route(h, huma.Operation{
		OperationID: "logout", Method: http.MethodPost, Path: "/v1/auth/logout", Tags: []string{"auth"},
		Summary: "End the session of a refresh token",
	}, func(ctx context.Context, in *refreshInput) (*none, error) {
		return nil, a.deps.Auth.Logout(ctx, CallerFrom(ctx), in.Body.RefreshToken)
	})
	route(h, huma.Operation{
		OperationID: "change-password", Method: http.MethodPost, Path: "/v1/auth/password", Tags: []string{"auth"},
		Summary: "Change my password", Description: "Ends all other sessions of the account. A wrong password is 422, as a wrong new one is.",
	}, func(ctx context.Context, in *passwordInput) (*none, error) {
		return nil, a.deps.Auth.ChangePassword(ctx, CallerFrom(ctx), in.Body.Password, in.Body.NewPassword)
	})
	route(h, huma.Operation{
		OperationID: "make-ticket", Method: http.MethodPost, Path: "/v1/auth/ws-ticket", Tags: []string{"auth"},
		Summary: "Get a ticket for a WebSocket", Description: "Single use, 30 seconds: for browsers, which can't set headers on a WebSocket.",
	}, func(ctx context.Context, _ *none) (*ticketOutput, error) {
		ticket, err := a.deps.Auth.Ticket(ctx, CallerFrom(ctx))
		if err != nil {
			return nil, err
		}
		return &ticketOutput{Ticket{Ticket: ticket.Value, ExpiresAt: model.MillisOf(ticket.ExpiresAt)}}, nil
	})
}

func grantOf(g *service.Grant, err error) (*grantOutput, error) {
	if err != nil {
		return nil, err
	}
	return &grantOutput{Grant{User: userOf(g.User), AccessToken: g.AccessToken, RefreshToken: g.RefreshToken, ExpiresAt: model.MillisOf(g.ExpiresAt)}}, nil
}
