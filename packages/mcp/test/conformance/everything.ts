import { setTimeout as sleep } from 'node:timers/promises'
import {
  acceptedContent,
  type CallToolResult,
  CLIENT_CAPABILITIES_META_KEY,
  completable,
  createRequestStateCodec,
  type InputRequest,
  type InputRequiredResult,
  inputRequired,
  McpServer,
  ResourceTemplate,
  type ServerContext,
} from '@modelcontextprotocol/server'
import * as z from 'zod'

const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII='
const wav = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA='
const nothing = z.object({})
/** States go through the client, which may change them. */
const states = createRequestStateCodec<string>({ key: 'a key of thirty-two bytes for tests' })
const says = (text: string): CallToolResult => ({ content: [{ type: 'text', text }] })

/** What the official conformance suite asks of a server, so that all of its scenarios go through the HTTP of the daemon. Names and texts are those of the suite. */
export function everything(): McpServer {
  const server = new McpServer(
    { name: 'everything', version: '1' },
    {
      capabilities: { tools: {}, resources: {}, prompts: {}, completions: {}, logging: {} },
      requestState: { verify: states.verify },
    },
  )
  registerContents(server)
  registerResources(server)
  registerPrompts(server)
  registerQuestions(server)
  return server
}

function registerContents(server: McpServer): void {
  const give = (name: string, content: CallToolResult['content']): void => {
    server.registerTool(name, { description: name, inputSchema: nothing }, async () => ({ content }))
  }
  const image = { type: 'image' as const, data: png, mimeType: 'image/png' }
  give('test_simple_text', [{ type: 'text', text: 'This is a simple text response for testing.' }])
  give('test_image_content', [image])
  give('test_audio_content', [{ type: 'audio', data: wav, mimeType: 'audio/wav' }])
  const text = 'This is an embedded resource content.'
  give('test_embedded_resource', [
    { type: 'resource', resource: { uri: 'test://embedded-resource', mimeType: 'text/plain', text } },
  ])
  const data = JSON.stringify({ test: 'data', value: 123 })
  give('test_multiple_content_types', [
    { type: 'text', text: 'Multiple content types test:' },
    image,
    { type: 'resource', resource: { uri: 'test://mixed-content-resource', mimeType: 'application/json', text: data } },
  ])
  server.registerTool('test_error_handling', { description: 'fails', inputSchema: nothing }, async () => {
    throw new Error('This tool intentionally returns an error for testing')
  })
  server.registerTool(
    'test_tool_with_progress',
    { description: 'slow', inputSchema: nothing },
    async (_, { mcpReq }) => {
      const progressToken = mcpReq._meta?.progressToken
      for (const progress of [0, 50, 100]) {
        if (progressToken !== undefined)
          await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } })
        await sleep(50)
      }
      return says('done')
    },
  )
}

function registerResources(server: McpServer): void {
  const about = (mimeType: string) => ({ description: 'of the suite', mimeType })
  const text = 'This is the content of the static text resource.'
  server.registerResource('text', 'test://static-text', about('text/plain'), async ({ href: uri }) => ({
    contents: [{ uri, mimeType: 'text/plain', text }],
  }))
  server.registerResource('binary', 'test://static-binary', about('image/png'), async ({ href: uri }) => ({
    contents: [{ uri, mimeType: 'image/png', blob: png }],
  }))
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined })
  server.registerResource('template', template, about('application/json'), async ({ href: uri }, { id }) => {
    const data = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` })
    return { contents: [{ uri, mimeType: 'application/json', text: data }] }
  })
}

function registerPrompts(server: McpServer): void {
  const user = (text: string) => ({ role: 'user' as const, content: { type: 'text' as const, text } })
  server.registerPrompt('test_simple_prompt', { description: 'simple' }, async () => ({
    messages: [user('This is a simple prompt for testing.')],
  }))
  const word = completable(z.string(), (value) => ['paris', 'park'].filter((one) => one.startsWith(value)))
  const argsSchema = z.object({ arg1: word, arg2: z.string() })
  server.registerPrompt('test_prompt_with_arguments', { description: 'args', argsSchema }, async ({ arg1, arg2 }) => ({
    messages: [user(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
  }))
  const withUri = { description: 'resource', argsSchema: z.object({ resourceUri: z.string() }) }
  server.registerPrompt('test_prompt_with_embedded_resource', withUri, async ({ resourceUri: uri }) => {
    const resource = { uri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' }
    return {
      messages: [
        { role: 'user', content: { type: 'resource', resource } },
        user('Please process the embedded resource above.'),
      ],
    }
  })
  server.registerPrompt('test_prompt_with_image', { description: 'image' }, async () => ({
    messages: [
      { role: 'user', content: { type: 'image', data: png, mimeType: 'image/png' } },
      user('Please analyze the image above.'),
    ],
  }))
}

const ask = (message: string, name: string, kind: 'string' | 'boolean' = 'string') =>
  inputRequired.elicit({
    message,
    requestedSchema: {
      type: 'object',
      properties: { [name]: kind === 'string' ? { type: 'string' } : { type: 'boolean' } },
      required: [name],
    },
  })

type Question = readonly [key: string, request: InputRequest]

const name: Question = ['user_name', ask('What is your name?', 'name')]
const capital: Question = [
  'capital_question',
  inputRequired.createMessage({
    messages: [{ role: 'user', content: { type: 'text', text: 'What is the capital of France?' } }],
    maxTokens: 100,
  }),
]
const roots: Question = ['client_roots', inputRequired.listRoots()]

/** Tools that ask their client back, which in the protocol of 2026 is a result and another call. */
function registerQuestions(server: McpServer): void {
  const register = (
    tool: string,
    handle: (context: ServerContext) => Promise<CallToolResult | InputRequiredResult>,
  ): void => {
    const config = { description: tool, inputSchema: nothing }
    server.registerTool(tool, config, async (_, context) => handle(context))
  }
  /** Asks until all keys are answered, and the state has come back as it went. */
  const question = (tool: string, asked: readonly Question[], state?: string): void =>
    register(`test_input_required_result_${tool}`, async ({ mcpReq }) => {
      const given = mcpReq.inputResponses ?? {}
      const answered = asked.every(([key]) => given[key] !== undefined)
      if (answered && (state === undefined || mcpReq.requestState() === state)) {
        const { name: who } = acceptedContent(given, 'user_name') ?? {}
        if (tool !== 'elicitation' || typeof who === 'string')
          return says(`Hello, ${who}! state-ok ${JSON.stringify(given)}`)
      }
      return inputRequired({
        inputRequests: Object.fromEntries(asked),
        ...(state ? { requestState: await states.mint(state) } : {}),
      })
    })
  question('elicitation', [name])
  question('sampling', [capital])
  question('list_roots', [roots])
  question('request_state', [['confirm', ask('Please confirm', 'ok', 'boolean')]], 'kept')
  question('multiple_inputs', [name, ['greeting', capital[1]], roots], 'kept')
  question('tampered_state', [['confirm', ask('Please confirm', 'ok', 'boolean')]], 'kept')
  register('test_input_required_result_multi_round', async ({ mcpReq }) => {
    const round = mcpReq.requestState<string>()
    const has = (key: string): boolean => mcpReq.inputResponses?.[key] !== undefined
    if (round === 'second' && has('step2')) return says('both are answered')
    const step2 = ask('Step 2: What is your favorite color?', 'color')
    if (round === 'first' && has('step1'))
      return inputRequired({ inputRequests: { step2 }, requestState: await states.mint('second') })
    const step1 = ask('Step 1: What is your name?', 'name')
    return inputRequired({ inputRequests: { step1 }, requestState: await states.mint('first') })
  })
  register('test_input_required_result_capabilities', async ({ mcpReq }) => {
    const can = capabilitiesOf(mcpReq.envelope)
    const asked = [...('sampling' in can ? [capital] : []), ...('elicitation' in can ? [name] : [])]
    return inputRequired({ inputRequests: Object.fromEntries(asked) })
  })
  // The SDK refuses a question that the client has not said it can answer.
  register('test_missing_capability', async () => inputRequired({ inputRequests: Object.fromEntries([capital]) }))
  register('test_streaming_elicitation', async ({ mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken ?? 'none'
    await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress: 1 } })
    return inputRequired({ inputRequests: Object.fromEntries([name]) })
  })
  register('test_logging_tool', async ({ mcpReq }) => {
    await mcpReq.log('info', 'heard by those who asked for it')
    return says('logged')
  })
  const prompt = { description: 'asks first' }
  server.registerPrompt('test_input_required_result_prompt', prompt, async ({ mcpReq }: ServerContext) => {
    const given = acceptedContent(mcpReq.inputResponses, 'user_context')
    const user_context = ask('What context should the prompt use?', 'context')
    if (given === undefined) return inputRequired({ inputRequests: { user_context } })
    return { messages: [{ role: 'user', content: { type: 'text', text: JSON.stringify(given) } }] }
  })
}

/** What the client of a request says that it can do. */
const capabilitiesOf = (envelope: object | undefined): object =>
  (envelope as Record<string, object> | undefined)?.[CLIENT_CAPABILITIES_META_KEY] ?? {}
