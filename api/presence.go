package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
)

// Presence says whether a user is online.
type Presence struct {
	UserID     model.UserID  `json:"user_id"`
	Online     bool          `json:"online"`
	LastSeenAt *model.Millis `json:"last_seen_at" nullable:"true" doc:"Now, of who is online; null of who never was"`
}

type (
	presenceInput struct {
		UserIDs []string `query:"user_ids" required:"true" minItems:"1" maxItems:"100" doc:"Ids, separated by commas"`
	}
	presenceOutput struct {
		Body struct {
			Presence []Presence `json:"presence" doc:"In the order asked; without those who share no conversation with me"`
		}
	}
)

func (a *API) registerPresence(h huma.API) {
	route(h, huma.Operation{
		OperationID: "get-presence", Method: http.MethodGet, Path: "/v1/users/presence", Tags: []string{"users"}, Summary: "Who is online",
		Description: "Of people with whom I share a conversation that is not dissolved; others are left out. With ACKBOX_PRESENCE=off the list is empty.",
	}, func(ctx context.Context, in *presenceInput) (*presenceOutput, error) {
		users, err := userIDs(in.UserIDs)
		if err != nil {
			return nil, err
		}
		out := &presenceOutput{}
		out.Body.Presence = []Presence{}
		if a.deps.Presence == nil {
			return out, nil
		}
		list, err := a.deps.Presence.Of(ctx, CallerFrom(ctx).UserID, users)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			answer := Presence{UserID: s.UserID, Online: s.Online}
			if s.LastSeenAt != 0 {
				answer.LastSeenAt = &s.LastSeenAt
			}
			out.Body.Presence = append(out.Body.Presence, answer)
		}
		return out, nil
	})
}
