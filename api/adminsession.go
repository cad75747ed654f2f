package api

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"ackbox/model"
	"ackbox/service"
)

// adminCookie holds an access token of an operator's browser. It counts for calls of operators only.
const adminCookie = "ackbox_admin"

// AdminSession is who is logged in.
type AdminSession struct {
	User      AdminUser `json:"user"`
	ExpiresAt int64     `json:"expires_at" doc:"Unix ms; later with every call, up to 12 hours after the login"`
}

type adminSessionOutput struct{ Body AdminSession }

type ginKey struct{}

// unwrapped tells the handler the request that it answers.
func (a *API) unwrapped(ctx huma.Context, next func(huma.Context)) {
	next(huma.WithValue(ctx, ginKey{}, humagin.Unwrap(ctx)))
}

func (a *API) registerAdminSession(huma.API) {
	const path = "/v1/admin/session"
	adminRoute(a, huma.Operation{
		OperationID: "admin-login", Method: http.MethodPost, Path: path, Security: public, Middlewares: huma.Middlewares{a.unwrapped, a.fromHere},
		Summary: "Log in with a cookie", Description: "For the admin page: the cookie is HttpOnly and SameSite=Strict, counts for calls under /v1/admin only, and is renewed while it is used. An account that is no admin gets 403.",
	}, action{Name: "session.login", Target: "user"}, func(ctx context.Context, in *loginInput) (*adminSessionOutput, error) {
		note := noteOf(ctx)
		note.entry.Actor = strings.ToLower(in.Body.Username)
		if err := a.takeLogin(ctx, in.Body.Username); err != nil {
			return nil, err
		}
		session, err := a.deps.Auth.AdminLogin(ctx, in.Body.Username, in.Body.Password, networkFrom(ctx))
		if err != nil {
			return nil, err
		}
		note.entry.ActorID = session.User.ID
		auditTarget(ctx, session.User.ID.String())
		c, _ := ctx.Value(ginKey{}).(*gin.Context)
		a.setCookie(c, session.Token, session.ExpiresAt)
		return &adminSessionOutput{AdminSession{User: adminUserOf(session.User), ExpiresAt: session.ExpiresAt.UnixMilli()}}, nil
	})
	adminRoute(a, huma.Operation{
		OperationID: "admin-session", Method: http.MethodGet, Path: path, Summary: "Who is logged in",
	}, read, func(ctx context.Context, _ *none) (*adminSessionOutput, error) {
		caller := CallerFrom(ctx)
		user, err := a.deps.Users.Get(ctx, caller.UserID)
		if err != nil {
			return nil, err
		}
		return &adminSessionOutput{AdminSession{User: adminUserOf(user), ExpiresAt: caller.ExpiresAt.UnixMilli()}}, nil
	})
	adminRoute(a, huma.Operation{
		OperationID: "admin-logout", Method: http.MethodDelete, Path: path, Middlewares: huma.Middlewares{a.unwrapped}, Summary: "Log out", Description: "Ends the login that asks, by cookie or token.",
	}, action{Name: "session.logout"}, func(ctx context.Context, _ *none) (*none, error) {
		if err := a.deps.Auth.End(ctx, CallerFrom(ctx)); err != nil {
			return nil, err
		}
		c, _ := ctx.Value(ginKey{}).(*gin.Context)
		a.setCookie(c, "", time.Time{})
		return nil, nil
	})
}

// setCookie gives the browser a token until its end; an empty one takes the cookie away.
func (a *API) setCookie(c *gin.Context, token string, end time.Time) {
	cookie := &http.Cookie{Name: adminCookie, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: a.overTLS(c), Expires: end}
	if token == "" {
		cookie.Expires, cookie.MaxAge = time.Time{}, -1
	}
	c.Writer.Header().Del("Set-Cookie") // a renewed one of this answer
	http.SetCookie(c.Writer, cookie)
}

// overTLS says whether the browser came by https: to us, or to a proxy that is believed.
func (a *API) overTLS(c *gin.Context) bool {
	return c.Request.TLS != nil || a.trusted(c.RemoteIP()) && strings.EqualFold(c.GetHeader("X-Forwarded-Proto"), "https")
}

// trusted says whether an address is one of the trusted proxies'.
func (a *API) trusted(ip string) bool {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	addr = addr.Unmap()
	for _, text := range a.deps.TrustedProxies {
		if network, err := netip.ParsePrefix(text); err == nil && network.Contains(addr) {
			return true
		}
		if one, err := netip.ParseAddr(text); err == nil && one.Unmap() == addr {
			return true
		}
	}
	return false
}

// cookieOf is an operator's cookie as the header that it stands in for.
func (a *API) cookieOf(ctx huma.Context) (header string, found bool) {
	cookie, err := humagin.Unwrap(ctx).Request.Cookie(adminCookie)
	if err != nil || cookie.Value == "" {
		return "", false
	}
	return "Bearer " + cookie.Value, true
}

// renewCookie gives the browser a later token when it is time. A store that does not answer now is
// asked again by the next call: the token that came is good.
func (a *API) renewCookie(ctx huma.Context, caller *service.Claims) error {
	session, err := a.deps.Auth.RenewAdmin(ctx.Context(), *caller)
	switch {
	case err != nil && endsSession(err):
		return err
	case err != nil:
		a.log.Warn("an admin's session could not be renewed", "error", err)
	case session != nil:
		caller.ExpiresAt = session.ExpiresAt
		a.setCookie(humagin.Unwrap(ctx), session.Token, session.ExpiresAt)
	}
	return nil
}

// endsSession says whether an error means that a cookie is of no more use.
func endsSession(err error) bool {
	switch model.CodeOf(err) {
	case model.CodeUnauthenticated, model.CodeTokenExpired, model.CodeTokenRevoked, model.CodeBanned, model.CodeForbidden:
		return true
	default:
		return false
	}
}

// dropCookie takes the cookie from a browser whose session has ended.
func (a *API) dropCookie(ctx huma.Context, err error) {
	if endsSession(err) {
		a.setCookie(humagin.Unwrap(ctx), "", time.Time{})
	}
}

// sameOrigin refuses what another origin's page makes a browser do, which would send its cookie along.
func sameOrigin(ctx huma.Context) error {
	if err := http.NewCrossOriginProtection().Check(humagin.Unwrap(ctx).Request); err != nil {
		return &model.Error{Code: model.CodeOriginNotAllowed, Detail: "a page of another origin may not do this", Cause: err}
	}
	return nil
}

// fromHere is sameOrigin for a public call.
func (a *API) fromHere(ctx huma.Context, next func(huma.Context)) {
	if err := sameOrigin(ctx); err != nil {
		a.refuse(ctx, err)
		return
	}
	next(ctx)
}
