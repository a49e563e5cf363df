/** @module Boxes of Gibil as sandboxes of ComputeSDK: a provider for the package `computesdk`, unmodified. */
export { type GibilConfig, gibil } from './provider.ts'
