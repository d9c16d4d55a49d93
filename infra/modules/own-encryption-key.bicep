// Lets the identity of Cosmos DB and Storage use a key of a vault that the provider already has, and nothing else in it.

@description('Required. The vault, in this resource group.')
param vaultName string

@description('Required. The key in it.')
param keyName string

@description('Required. The name of the identity, for stable names of what it is given.')
param identityName string

@description('Required. That identity\'s principal.')
param principalId string

@description('Key Vault Crypto Service Encryption User: get, wrap and unwrap.')
var encryptionUser = 'e147488a-f6f5-4113-8e2d-b22465e65bf6'

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName

  resource key 'keys' existing = {
    name: keyName
  }
}

resource encryptionRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault::key.id, identityName, encryptionUser)
  scope: vault::key
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', encryptionUser)
  }
}
