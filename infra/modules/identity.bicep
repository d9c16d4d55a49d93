// The two identities. `keys` does nothing but unwrap the encryption keys of Cosmos DB and Storage, for these services;
// `app` is what Assay runs as. Neither has a secret, and neither can do the other's work.

@description('Required. Where they are registered.')
param location string

@description('Required. The name of the identity of Cosmos DB and Storage.')
param keysName string

@description('Required. The name of the identity of the function app.')
param appName string

@description('Required. Tags of both.')
param tags object

resource keys 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: keysName
  location: location
  tags: tags
}

resource app 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: appName
  location: location
  tags: tags
}

@description('The principal of the identity of Cosmos DB and Storage.')
output keysPrincipalId string = keys.properties.principalId

@description('The principal of the function app: for a federated credential, and for what an administrator grants it.')
output appPrincipalId string = app.properties.principalId

@description('The client id by which the function app asks for its tokens.')
output appClientId string = app.properties.clientId
