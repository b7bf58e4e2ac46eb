import { Type } from 'typebox';
import { type MessageSchema, messageSchema, oneOf } from './message-schema.ts';

const userCharactersMax = 128;
const passwordCharactersMax = 256;
const closed = { additionalProperties: false };

/** Roles as tokens and answers spell them, lowest first. */
export type RoleName = 'anonymous' | 'user' | 'service' | 'dba' | 'system';

/** Schema of {@link RoleName}. */
export const roleNameSchema: MessageSchema<RoleName> = oneOf('anonymous', 'user', 'service', 'dba', 'system');

/** Body of `POST /v1/api/auth/login`. The user's name may be under either member; other members are refused. */
export type LoginRequest = { readonly user: string; readonly password: string } | { readonly username: string; readonly password: string };

const userText = Type.String({ maxLength: userCharactersMax });
const passwordText = Type.String({ maxLength: passwordCharactersMax });

/** Schema of {@link LoginRequest}. */
export const loginRequestSchema: MessageSchema<LoginRequest> = messageSchema<LoginRequest>()(
  Type.Union([
    Type.Object({ user: userText, password: passwordText }, closed),
    Type.Object({ username: userText, password: passwordText }, closed),
  ]),
);

/** Body of `POST /v1/api/auth/setup`. */
export type SetupRequest = {
  readonly password: string;
  readonly root_password: string;
  readonly email?: string | null;
} & ({ readonly user: string } | { readonly username: string });

const setupMembers = {
  password: passwordText,
  root_password: passwordText,
  email: Type.Optional(Type.Union([Type.String({ maxLength: 320 }), Type.Null()])),
};

/** Schema of {@link SetupRequest}. */
export const setupRequestSchema: MessageSchema<SetupRequest> = messageSchema<SetupRequest>()(
  Type.Union([Type.Object({ ...setupMembers, user: userText }, closed), Type.Object({ ...setupMembers, username: userText }, closed)]),
);

/** A user in answers; dates are RFC 3339. */
export interface UserInfo {
  readonly id: string;
  readonly role: RoleName;
  readonly email: string | null;
  readonly created_at: string;
  readonly updated_at: string;
}

/** Schema of {@link UserInfo}. */
export const userInfoSchema: MessageSchema<UserInfo> = messageSchema<UserInfo>()(
  Type.Object({
    id: Type.String(),
    role: roleNameSchema,
    email: Type.Union([Type.String(), Type.Null()]),
    created_at: Type.String(),
    updated_at: Type.String(),
  }),
);

/** Answer of `POST /v1/api/auth/login` and `/refresh`. */
export interface LoginResponse {
  readonly user: UserInfo;
  readonly admin_ui_access: boolean;
  /** RFC 3339, like `refresh_expires_at`. */
  readonly expires_at: string;
  readonly access_token: string;
  readonly refresh_token: string;
  readonly refresh_expires_at: string;
}

/** Schema of {@link LoginResponse}. */
export const loginResponseSchema: MessageSchema<LoginResponse> = messageSchema<LoginResponse>()(
  Type.Object({
    user: userInfoSchema,
    admin_ui_access: Type.Boolean(),
    expires_at: Type.String(),
    access_token: Type.String(),
    refresh_token: Type.String(),
    refresh_expires_at: Type.String(),
  }),
);

/** Answer of `GET /v1/api/auth/me`. */
export interface MeResponse {
  readonly user: UserInfo;
  readonly admin_ui_access: boolean;
}

/** Schema of {@link MeResponse}. */
export const meResponseSchema: MessageSchema<MeResponse> = messageSchema<MeResponse>()(
  Type.Object({ user: userInfoSchema, admin_ui_access: Type.Boolean() }),
);

/** Answer of `GET /v1/api/auth/status`. */
export interface SetupStatus {
  /** True while the stored root hash is empty. */
  readonly needs_setup: boolean;
  readonly message: string;
}

/** Schema of {@link SetupStatus}. */
export const setupStatusSchema: MessageSchema<SetupStatus> = messageSchema<SetupStatus>()(
  Type.Object({ needs_setup: Type.Boolean(), message: Type.String() }),
);

/** Answer of `POST /v1/api/auth/setup`: no tokens, the new user logs in next. */
export interface SetupResponse {
  readonly user: UserInfo;
  readonly message: string;
}

/** Schema of {@link SetupResponse}. */
export const setupResponseSchema: MessageSchema<SetupResponse> = messageSchema<SetupResponse>()(
  Type.Object({ user: userInfoSchema, message: Type.String() }),
);

/** What a refused authentication request answers. */
export interface AuthFailure {
  /** For example `unauthorized`, `account_locked`, `setup_required`. */
  readonly error: string;
  readonly message: string;
}

/** Schema of {@link AuthFailure}. */
export const authFailureSchema: MessageSchema<AuthFailure> = messageSchema<AuthFailure>()(
  Type.Object({ error: Type.String(), message: Type.String() }),
);
