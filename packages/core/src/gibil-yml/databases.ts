/** What a list of services may name, as the image `vm` has it: its unit (Debian's name) and what tells that it answers. */
export const databases = {
  postgres: { unit: 'postgresql', ready: { command: 'pg_isready --quiet' } },
  redis: { unit: 'redis-server', ready: { command: 'redis-cli ping | grep -qx PONG' } },
} as const

export const databaseNames = ['postgres', 'redis'] as const satisfies readonly (keyof typeof databases)[]
