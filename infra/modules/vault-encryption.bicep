// The vault of the keys with which Cosmos DB and Storage encrypt at rest. These services reach it as trusted services of
// Azure, which a vault with a private endpoint alone would not let in; nobody else gets through its firewall.
// One key for each, so that one can be revoked without the other; they are another step (keys).

@description('Required. The region.')
param location string

@description('Required. The vault\'s name.')
param name string

@description('Required. The name of the identity of Cosmos DB and Storage, for stable names of what it is given.')
param identityName string

@description('Required. That identity\'s principal.')
param principalId string

@description('Required. The workspace that gets the logs.')
param workspaceId string

@description('Required. Tags.')
param tags object

@description('Key Vault Crypto Service Encryption User: get, wrap and unwrap.')
var encryptionUser = 'e147488a-f6f5-4113-8e2d-b22465e65bf6'

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  //checkov:skip=CKV_AZURE_189:Cosmos DB and Storage reach their keys as trusted services, which a private vault does not let in
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
    publicNetworkAccess: 'Enabled'
    networkAcls: { defaultAction: 'Deny', bypass: 'AzureServices', ipRules: [], virtualNetworkRules: [] }
  }
}

resource encryptionRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identityName, encryptionUser)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', encryptionUser)
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
