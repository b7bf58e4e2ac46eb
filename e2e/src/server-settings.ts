/** Settings of a server that programs play against: no limits on their rate, and passwords that cost little. */
export const UNHURRIED_SETTINGS = `
[rate_limit]
max_queries_per_sec = 1000000
max_auth_requests_per_ip_per_sec = 1000
[auth]
bcrypt_cost = 4
`;
