// Package api is the REST edge: who is calling, what they said, what we answer. One
// file a noun: decode, call the service, encode. No rules and no SQL.
package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"ackbox/service"
	"ackbox/ws"
)

// Bounds of a request's body.
const (
	MaxBody     = 256 << 10
	bodyTimeout = 15 * time.Second // from the first byte to the last

	maxSwallowed   = 32 << 20 // of a body that is refused for its size
	swallowTimeout = 5 * time.Second
)

// Deps is what the edge calls. main fills it; a missing part fails at start.
type Deps struct {
	Auth          *service.Auth
	Users         *service.Users
	Blocks        Blocks
	Messages      *service.Messages
	Mailboxes     *service.Mailboxes
	Conversations *service.Conversations
	Groups        *service.Groups
	Devices       *service.Devices
	Presence      *service.Presence // nil: off
	Files         *service.Files
	Delivery      *service.Delivery
	Audit         *service.Audit
	Traces        *service.Traces
	Moderation    *service.Moderation
	Announcements *service.Announcements
	Statistics    *service.Statistics
	Nodes         *service.Nodes
	NodeCalls     *service.NodeCalls
	Sockets       *ws.Hub
	Connects      *service.Gate // nil: any number at a time
	IDs           IDs
	Ready         Ready

	Log            *slog.Logger
	Metrics        http.Handler          // nil: metrics are elsewhere
	AllowedOrigins []string              // of browsers, beside the server's own
	TrustedProxies []string              // whose X-Forwarded-For is believed
	Limits         *service.Limits       // nil: nothing is limited
	Registry       prometheus.Registerer // nil: requests are not counted
	Tracer         trace.Tracer          // nil: no spans. Needs Registry
	Version        string
	Settings       []AdminSetting
	AdminApart     bool // operators have a listener of their own, which serves AdminHandler
}

// API is the edge, ready to serve.
type API struct {
	deps     Deps
	engine   *gin.Engine
	huma     huma.API
	draining atomic.Bool
	origins  map[string]bool
	log      *slog.Logger
	request  requestNames
	figures  *requestFigures // nil: requests are not counted
}

// New builds the edge: middleware, then every route, then the descriptions of them.
func New(deps Deps) (*API, error) {
	if deps.Auth == nil || deps.Users == nil || deps.Blocks == nil || deps.IDs == nil || deps.Ready == nil || deps.Log == nil {
		return nil, fmt.Errorf("api: Auth, Users, Blocks, IDs, Ready and Log are needed")
	}
	if deps.Tracer != nil && deps.Registry == nil {
		return nil, fmt.Errorf("api: Tracer needs Registry")
	}
	a := &API{deps: deps, engine: gin.New(), origins: originSet(deps.AllowedOrigins), log: deps.Log, request: newRequestNames()}
	a.engine.HandleMethodNotAllowed = true
	a.engine.RedirectTrailingSlash = false                 // a redirect is no answer to a POST
	a.engine.RemoteIPHeaders = []string{"X-Forwarded-For"} // no other: a proxy that does not set one lets it through
	if err := a.engine.SetTrustedProxies(deps.TrustedProxies); err != nil {
		return nil, fmt.Errorf("trusted proxies: %w", err)
	}
	if deps.Registry != nil {
		a.figures = newRequestFigures(deps.Registry)
		a.engine.Use(a.counted)
	}
	a.engine.Use(a.named)
	if deps.Tracer != nil {
		a.engine.Use(a.traced)
	}
	a.engine.Use(a.logged, a.recovered, a.guarded, a.placed, a.crossOrigin)
	a.engine.NoRoute(a.noRoute)
	a.engine.NoMethod(a.noMethod)

	a.huma = humagin.New(a.engine, a.description())
	a.huma.UseMiddleware(a.authorised, a.wellFormed)
	for _, register := range []func(huma.API){
		a.registerHealth,
		a.registerAuth,
		a.registerUsers,
		a.registerAdminUsers,
		a.registerMessages,
		a.registerMailbox,
		a.registerConversations,
		a.registerConversationExtras,
		a.registerReceipts,
		a.registerDeletions,
		a.registerGroups,
		a.registerMutes,
		a.registerDevices,
		a.registerPresence,
		a.registerFiles,
		a.registerIDs,
		a.registerAudit,
		a.registerTraces,
		a.registerAdminConversations,
		a.registerAdminMessages,
		a.registerAnnouncements,
		a.registerStatistics,
		a.registerAdminSession,
		a.registerAdminNodes,
	} {
		register(a.huma)
	}
	a.engine.GET(streamPath, a.stream)
	if err := a.registerChat(); err != nil {
		return nil, err
	}
	if err := a.registerDashboard(); err != nil {
		return nil, err
	}
	if err := a.describe(); err != nil {
		return nil, err
	}
	if a.figures != nil {
		a.figures.known(a.engine.Routes())
	}
	return a, nil
}

type headKey struct{}

// Handler serves everything, without what the admin listener serves when there is one. HEAD is answered as GET without the body,
// which net/http leaves out (RFC 9110, section 9.3.2): monitors ask like that.
func (a *API) Handler() http.Handler {
	return a.serving(func(path string) bool { return !a.deps.AdminApart || !isAdminPath(path) })
}

// AdminHandler serves what is for operators, on a listener of its own.
func (a *API) AdminHandler() http.Handler { return a.serving(onAdminListener) }

func (a *API) serving(here func(path string) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead && r.URL.Path != streamPath {
			get := *r.WithContext(context.WithValue(r.Context(), headKey{}, true)) // the server decides by the method of the original
			get.Method = http.MethodGet
			r = &get
		}
		if !here(r.URL.Path) {
			r = elsewhere(r)
		}
		a.engine.ServeHTTP(w, r)
	})
}

// SetDraining makes new sockets go elsewhere, or takes them again.
func (a *API) SetDraining(draining bool) { a.draining.Store(draining) }

// Drain makes new sockets go elsewhere: the first step of an orderly end.
func (a *API) Drain() {
	a.draining.Store(true)
	if a.deps.Connects != nil {
		a.deps.Connects.Close()
	}
}

// route adds a call. Without Security it needs an access token; every call may
// answer with a Problem.
func route[I, O any](h huma.API, op huma.Operation, handler handlerOf[I, O]) {
	if op.Security == nil {
		op.Security = bearer
	}
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = MaxBody + 1 // huma refuses what reaches its limit
	}
	if op.BodyReadTimeout == 0 {
		op.BodyReadTimeout = bodyTimeout
	}
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	op.Responses["default"] = &huma.Response{Ref: "#/components/responses/problem"}
	huma.Register(h, op, handler)
}
