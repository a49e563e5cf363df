/** @module Boxes of Gibil as sandboxes of Sandcastle: an isolated provider for `@ai-hero/sandcastle`, unmodified. */
export { type GibilSandboxOptions, gibil } from './provider.ts'
