import { CreateToken, NewToken, Token } from '@gibil/contract'
import * as z from 'zod'
import { empty, json, type Route, route } from '../http/route.ts'

const tag = 'tokens'

export const tokenRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/tokens',
    id: 'createToken',
    tag,
    summary: 'Make a token',
    description: 'The answer holds its secret, which is shown this once and not kept.',
    body: CreateToken,
    answer: json(NewToken, 201),
    errors: ['invalid_name', 'invalid_duration', 'name_in_use'],
    handle: async ({ body }, { control }) => control.tokens.create(body),
  }),
  route({
    method: 'get',
    path: '/tokens',
    id: 'listTokens',
    tag,
    summary: 'List tokens with their limits, and what their boxes take of them',
    answer: json(z.array(Token)),
    handle: async (_, { control }) => control.tokens.list(),
  }),
  route({
    method: 'delete',
    path: '/tokens/{token}',
    id: 'revokeToken',
    tag,
    summary: 'Revoke a token',
    description: 'Its calls are refused from now on and its open streams are cut. Its boxes live on by their lease.',
    answer: empty,
    errors: ['token_not_found'],
    handle: async ({ param }, { control }) => control.tokens.revoke(param('token')),
  }),
]
