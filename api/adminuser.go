package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
)

type banInput struct {
	UserID Param[model.UserID] `path:"user_id"`
	Body   *struct {
		Reason string `json:"reason,omitempty" maxLength:"200" doc:"For the audit log"`
	}
}

func (a *API) registerAdminUsers(huma.API) {
	adminRoute(a, huma.Operation{
		OperationID: "ban-user", Method: http.MethodPut, Path: "/v1/admin/users/{user_id}/ban",
		Summary: "Shut an account out", Description: "Its sessions end, its sockets close with 4003, it cannot log in.",
	}, action{"user.ban", "user", "user_id"}, func(ctx context.Context, in *banInput) (*none, error) {
		if in.Body != nil {
			audit(ctx, "reason", in.Body.Reason)
		}
		return nil, a.deps.Users.Ban(ctx, in.UserID.ID)
	})
	adminRoute(a, huma.Operation{
		OperationID: "unban-user", Method: http.MethodDelete, Path: "/v1/admin/users/{user_id}/ban",
		Summary: "Let an account log in again",
	}, action{"user.unban", "user", "user_id"}, func(ctx context.Context, in *userPath) (*none, error) {
		return nil, a.deps.Users.Unban(ctx, in.UserID.ID)
	})
}
