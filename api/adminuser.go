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

// AdminUser is an account as operators see it.
type AdminUser struct {
	ID          model.UserID `json:"id"`
	Username    string       `json:"username"`
	DisplayName string       `json:"display_name"`
	AvatarURL   string       `json:"avatar_url"`
	Role        model.Role   `json:"role" enum:"user,admin"`
	BannedAt    int64        `json:"banned_at" doc:"Unix ms; 0: not banned"`
	CreatedAt   int64        `json:"created_at" doc:"Unix ms"`
}

func adminUserOf(u *model.User) AdminUser {
	return AdminUser{ID: u.ID, Username: u.Username, DisplayName: u.DisplayName, AvatarURL: u.AvatarURL, Role: u.Role, BannedAt: int64(u.BannedAt), CreatedAt: int64(u.CreatedAt)}
}
