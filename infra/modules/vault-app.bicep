// The vault of Assay's own keys and secrets, and of the clients' keys that it makes: reached over a private endpoint only.
// Its own keys are another step (keys), because somebody is to be told of their end.
// The app's role makes and uses keys; it deletes, purges, imports, backs up and restores none, so whoever takes the app
// over cannot destroy a client's records with it.

@description('Required. The region.')
param location string

@description('Required. The vault\'s name.')
param name string

@description('Required. The name of the app\'s identity, for stable names of what it is given.')
param identityName string

@description('Required. That identity\'s principal.')
param principalId string

@description('Optional. Enabled only where operatorAddresses lets somebody in.')
@allowed(['Disabled', 'Enabled'])
param publicNetworkAccess string = 'Disabled'

@description('Required. Addresses or ranges from which people may reach the vault besides; none: nobody, only the app.')
param operatorAddresses array

@description('Required. The workspace that gets the logs.')
param workspaceId string

@description('Required. Tags.')
param tags object

@description('Key Vault Secrets User: reads secrets.')
var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6'

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    // Keys in hardware modules (FIPS 140-3 level 3).
    sku: { family: 'A', name: 'premium' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    publicNetworkAccess: publicNetworkAccess
    networkAcls: {
      defaultAction: 'Deny'
      bypass: 'None'
      ipRules: [for address in operatorAddresses: { value: address }]
      virtualNetworkRules: []
    }
  }
}

// Not a built-in one: Crypto User may delete nothing either, but not make the key of a new client; Crypto Officer may destroy.
resource keysRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(vault.id, 'keys')
  properties: {
    roleName: 'Assay keys ${name}'
    description: 'Makes keys for new clients and uses keys. Deletes, purges, imports, backs up and restores none.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: [
          'Microsoft.KeyVault/vaults/keys/read'
          'Microsoft.KeyVault/vaults/keys/create/action'
          'Microsoft.KeyVault/vaults/keys/wrap/action'
          'Microsoft.KeyVault/vaults/keys/unwrap/action'
          'Microsoft.KeyVault/vaults/keys/sign/action'
        ]
        notDataActions: []
      }
    ]
  }
}

resource appKeys 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identityName, 'keys')
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: keysRole.id
  }
}

resource appSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identityName, secretsUser)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
  }
}

#disable-next-line use-recent-api-versions
resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('The vault\'s resource id.')
output vaultId string = vault.id
